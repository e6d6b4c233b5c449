//! Questions about a transaction that no buffer tells: versions, states and validity of TLS sessions,
//! opcodes of DNS messages.

use app::{TlsFacts, Tx};
use rules::signature::TransactionTest;
use wire::{Direction, Nanos};

/// Is the answer yes by now? What is not known yet is no.
pub(super) fn holds(test: &TransactionTest, tx: &Tx, direction: Direction, now: Nanos) -> bool {
    if let TransactionTest::DnsOpcode(opcode, negated) = test {
        return tx.dns_opcode().is_some_and(|found| (found == *opcode) != *negated);
    }
    tx.tls(direction).is_some_and(|facts| tls_holds(test, &facts, now))
}

fn tls_holds(test: &TransactionTest, facts: &TlsFacts, now: Nanos) -> bool {
    let now = i64::try_from(now / 1_000_000_000).unwrap_or(i64::MAX);
    let valid = |fits: &dyn Fn(i64, i64) -> bool| facts.validity.is_some_and(|(a, b)| fits(a, b));
    match test {
        TransactionTest::TlsVersion(version) => facts.version == *version,
        TransactionTest::SslVersion { versions, negated } => {
            facts.version != 0 && versions.contains(&facts.version) != *negated
        }
        TransactionTest::SslState { states, negated } => facts.state & states != *negated,
        TransactionTest::CertificateNotBefore(compare) => valid(&|from, _| compare.holds(from)),
        TransactionTest::CertificateNotAfter(compare) => valid(&|_, to| compare.holds(to)),
        TransactionTest::CertificateExpired => valid(&|_, to| now > to),
        TransactionTest::CertificateValid => valid(&|from, to| from <= now && now <= to),
        TransactionTest::CertificateChainLength(compare) => {
            let length = u32::try_from(facts.chain_length).unwrap_or(u32::MAX);
            length > 0 && compare.holds(length)
        }
        TransactionTest::DnsOpcode(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use rules::signature::Compare;

    use super::*;

    const NOW: Nanos = 1_000_000_000_000;

    fn certificate(from: i64, to: i64) -> TlsFacts {
        TlsFacts { validity: Some((from, to)), chain_length: 2, ..TlsFacts::default() }
    }

    #[test]
    fn certificates_are_valid_or_expired_at_the_time_of_the_packet() {
        let holds = |test, from, to| tls_holds(&test, &certificate(from, to), NOW);
        assert!(holds(TransactionTest::CertificateValid, 1000, 1000));
        assert!(!holds(TransactionTest::CertificateValid, 1001, 2000));
        assert!(holds(TransactionTest::CertificateExpired, 0, 999));
        assert!(!holds(TransactionTest::CertificateExpired, 0, 1000));
        assert!(holds(TransactionTest::CertificateNotBefore(Compare::Less(10)), 9, 0));
        assert!(holds(TransactionTest::CertificateNotAfter(Compare::Between(1, 3)), 0, 2));
        assert!(holds(TransactionTest::CertificateChainLength(Compare::Greater(1)), 0, 2));
        let none = TlsFacts::default();
        assert!(!tls_holds(&TransactionTest::CertificateExpired, &none, NOW));
        let length = TransactionTest::CertificateChainLength(Compare::Less(9));
        assert!(!tls_holds(&length, &none, NOW));
    }

    #[test]
    fn versions_and_states_may_be_excluded_once_something_is_known() {
        let version = |versions: &[u16], negated, version| {
            let test = TransactionTest::SslVersion { versions: versions.to_vec(), negated };
            tls_holds(&test, &TlsFacts { version, ..TlsFacts::default() }, NOW)
        };
        assert!(version(&[0x0300, 0x0301], false, 0x0301));
        assert!(version(&[0x0300], true, 0x0303) && !version(&[0x0300], true, 0x0300));
        assert!(!version(&[0x0300], true, 0));
        let state = |states, negated, state| {
            let test = TransactionTest::SslState { states, negated };
            tls_holds(&test, &TlsFacts { state, ..TlsFacts::default() }, NOW)
        };
        assert!(state(1, 0, 1) && !state(1, 0, 2) && state(3, 0, 2));
        assert!(state(1, 1, 0) && state(1, 1, 2) && !state(1, 1, 1));
    }
}
