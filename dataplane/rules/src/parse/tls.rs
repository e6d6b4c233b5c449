//! Keywords of TLS sessions that are no sticky buffers (docs.suricata.io, "SSL/TLS Keywords").

use app::tls_state;

use super::content;
use super::date::seconds;
use super::draft::Draft;
use super::number::{compare_u32, decimal};
use super::options::Value;
use super::text::{fields, shown, text};
use crate::signature::{Buffer, Compare, Test, TransactionTest};

type Done = Result<(), String>;

fn ask(draft: &mut Draft<'_, '_>, test: TransactionTest) -> Done {
    draft.need_app("tls")?;
    draft.transaction_tests.push(test);
    Ok(())
}

/// `tls.version`
pub(crate) fn version(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    let value = text(value.bytes);
    let version = match value.as_ref() {
        "1.0" => 0x0301,
        "1.1" => 0x0302,
        "1.2" => 0x0303,
        "1.3" => 0x0304,
        other => match other.strip_prefix("0x").and_then(|hex| u16::from_str_radix(hex, 16).ok()) {
            Some(raw) => raw,
            None => {
                let other = shown(other);
                return Err(format!(
                    "`{other}` is neither 1.0, 1.1, 1.2, 1.3 nor 0x and its digits"
                ));
            }
        },
    };
    ask(draft, TransactionTest::TlsVersion(version))
}

/// `ssl_version`
pub(crate) fn ssl_version(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    let value = text(value.bytes);
    let (mut versions, mut negated) = (Vec::new(), None);
    for word in fields(&value) {
        let (not, word) = match word.strip_prefix('!') {
            Some(word) => (true, word.trim()),
            None => (false, word),
        };
        if *negated.get_or_insert(not) != not {
            return Err("versions stand either all with `!` or all without".to_owned());
        }
        versions.push(match word.to_ascii_lowercase().as_str() {
            "sslv2" => 0x0002,
            "sslv3" => 0x0300,
            "tls1.0" => 0x0301,
            "tls1.1" => 0x0302,
            "tls1.2" => 0x0303,
            "tls1.3" => 0x0304,
            _ => return Err(format!("version `{}` is not known", shown(word))),
        });
    }
    ask(draft, TransactionTest::SslVersion { versions, negated: negated == Some(true) })
}

/// `ssl_state`
pub(crate) fn ssl_state(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    let value = text(value.bytes);
    let (mut states, mut negated) = (0, 0);
    for word in value.split([',', '|']).map(str::trim) {
        let (not, word) = match word.strip_prefix('!') {
            Some(word) => (true, word.trim()),
            None => (false, word),
        };
        let state = match word {
            "client_hello" => tls_state::CLIENT_HELLO,
            "server_hello" => tls_state::SERVER_HELLO,
            "client_keyx" => tls_state::CLIENT_KEY_EXCHANGE,
            "server_keyx" => tls_state::SERVER_KEY_EXCHANGE,
            "unknown" => tls_state::UNKNOWN,
            _ => return Err(format!("state `{}` is not known", shown(word))),
        };
        states |= state;
        if not {
            negated |= state;
        }
    }
    ask(draft, TransactionTest::SslState { states, negated })
}

/// A point in time, or a comparison with one or two.
fn moment(value: &Value<'_>) -> Result<Compare<i64>, String> {
    let value = text(value.bytes);
    let value = value.trim();
    if let Some((from, to)) = value.split_once("<>") {
        let (from, to) = (seconds(from)?, seconds(to)?);
        if from >= to {
            return Err("the range ends before it begins".to_owned());
        }
        return Ok(Compare::Between(from, to));
    }
    Ok(match value.split_at_checked(1) {
        Some(("<", date)) => Compare::Less(seconds(date)?),
        Some((">", date)) => Compare::Greater(seconds(date)?),
        _ => Compare::Equal(seconds(value)?),
    })
}

/// `tls_cert_notbefore`
pub(crate) fn not_before(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    ask(draft, TransactionTest::CertificateNotBefore(moment(value)?))
}

/// `tls_cert_notafter`
pub(crate) fn not_after(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    ask(draft, TransactionTest::CertificateNotAfter(moment(value)?))
}

/// `tls_cert_expired`
pub(crate) fn expired(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Done {
    ask(draft, TransactionTest::CertificateExpired)
}

/// `tls_cert_valid`
pub(crate) fn valid(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Done {
    ask(draft, TransactionTest::CertificateValid)
}

/// `tls.cert_chain_len`
pub(crate) fn chain_length(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    let length = compare_u32(&text(value.bytes))?;
    ask(draft, TransactionTest::CertificateChainLength(length))
}

/// `tls.store`: the rule is one of TLS; no certificate is written anywhere.
pub(crate) fn store(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Done {
    draft.need_app("tls")
}

/// `tls.subject`, `tls.issuerdn` and `tls.fingerprint`: a content for a buffer that has a keyword of
/// its own now.
fn of_certificate(draft: &mut Draft<'_, '_>, value: &Value<'_>, buffer: Buffer) -> Done {
    let content = content::plain(value)?;
    draft.need_app("tls")?;
    let list = draft.open(buffer, &[]);
    draft.push_to(list, Test::Content(content));
    draft.last_content = None;
    Ok(())
}

/// `tls.subject`
pub(crate) fn subject(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    of_certificate(draft, value, Buffer::TlsCertSubject)
}

/// `tls.issuerdn`
pub(crate) fn issuer(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    of_certificate(draft, value, Buffer::TlsCertIssuer)
}

/// `tls.fingerprint`
pub(crate) fn fingerprint(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    of_certificate(draft, value, Buffer::TlsCertFingerprint)
}

/// `dns.opcode`
pub(crate) fn dns_opcode(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Done {
    let value = text(value.bytes);
    let (negated, digits) = match value.strip_prefix('!') {
        Some(digits) => (true, digits.trim()),
        None => (false, value.trim()),
    };
    let opcode = decimal(digits, u64::from(u8::MAX))?;
    draft.need_app("dns")?;
    let opcode = u8::try_from(opcode).unwrap_or(u8::MAX);
    draft.transaction_tests.push(TransactionTest::DnsOpcode(opcode, negated));
    Ok(())
}
