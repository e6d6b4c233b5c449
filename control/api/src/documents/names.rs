//! Names as Kubernetes allows them (RFC 1123, as narrowed by the API's conventions).

/// A DNS-1123 label: at most 63 of `a-z`, `0-9` and `-`, a letter or digit at either end.
/// Namespaces are named so.
pub fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_part(name)
}

/// A DNS-1123 subdomain: labels joined by dots, of any length each, at most 253 characters in
/// all. Pods, service accounts and DeepPacketInspections are named so.
pub fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes.iter().all(|byte| is_alphanumeric(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_letters_digits_and_inner_dashes() {
        for good in ["a", "0", "kube-system", "a--b"] {
            assert!(is_label(good) && is_subdomain(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "ä", "a b", "a/b"] {
            assert!(!is_label(bad) && !is_subdomain(bad), "{bad}");
        }
    }

    #[test]
    fn only_subdomains_have_dots() {
        assert!(is_subdomain("web-0.shop.v1") && !is_label("web-0.shop.v1"));
        for bad in [".", "a.", ".a", "a..b", "a.-b"] {
            assert!(!is_subdomain(bad), "{bad}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        assert!(is_label(&"a".repeat(63)) && !is_label(&"a".repeat(64)));
        assert!(is_subdomain(&"a".repeat(253)) && !is_subdomain(&"a".repeat(254)));
    }
}
