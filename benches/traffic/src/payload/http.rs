//! Requests and responses of HTTP/1.1 (RFC 9112).

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// The request target, as it is sent.
    pub target: &'a str,
    /// The host.
    pub host: &'a str,
    /// Other fields; no `Content-Length`, that follows from the body.
    pub fields: &'a [(&'a str, &'a str)],
    /// The body; without one there is no `Content-Length`.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A GET.
    pub const fn get(host: &'a str, target: &'a str) -> Self {
        Self { method: "GET", target, host, fields: &[], body: &[] }
    }

    /// A POST of a form or document.
    pub const fn post(host: &'a str, target: &'a str, body: &'a [u8]) -> Self {
        Self { method: "POST", target, host, fields: &[], body }
    }

    /// With these fields.
    #[must_use]
    pub const fn fields(self, fields: &'a [(&'a str, &'a str)]) -> Self {
        Self { fields, ..self }
    }

    /// As sent.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out =
            request_head(self.method, self.target, self.host, self.fields, self.body.len());
        out.extend(self.body);
        out
    }
}

/// A request's head, before a body of so many bytes.
pub fn request_head(
    method: &str,
    target: &str,
    host: &str,
    fields: &[(&str, &str)],
    body_len: usize,
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent")) {
        head.push_str("User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n");
    }
    head.push_str("Accept: */*\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if body_len > 0 {
        head.push_str(&format!("Content-Length: {body_len}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A response's head, before a body of so many bytes.
pub fn response_head(status: &str, content_type: &str, body_len: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nServer: nginx\r\nContent-Type: {content_type}\r\n\
         Content-Length: {body_len}\r\n\r\n"
    );
    head.into_bytes()
}

/// A whole response; `status` is code and reason.
pub fn response(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = response_head(status, content_type, body.len());
    out.extend(body);
    out
}

/// A response whose body comes in chunks of `size` bytes.
///
/// # Panics
/// If `size` is 0.
pub fn chunked_response(content_type: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: {content_type}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_states_the_length_of_its_body_and_only_then() {
        let get = Request::get("shop", "/a").to_bytes();
        assert!(get.starts_with(b"GET /a HTTP/1.1\r\nHost: shop\r\n"));
        assert!(get.ends_with(b"\r\n\r\n") && !get.windows(7).any(|part| part == b"Content"));
        let post = Request::post("shop", "/a", b"x=1").to_bytes();
        assert!(post.ends_with(b"Content-Length: 3\r\n\r\nx=1"));
    }

    #[test]
    fn chunks_are_of_the_size_asked_for() {
        let response = chunked_response("text/plain", b"abcde", 3);
        assert!(response.ends_with(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
    }
}
