//! Just enough of HTTP/1.1 to find the end of an answer: a length is given, or there is no body.

use std::fmt;

/// The most headers an answer may have.
const MAX_HEADERS: usize = 32;

/// A whole answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> Response<'a> {
    /// Nothing, as long as the answer is not there to its end.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(bytes).unwrap() else {
            return None;
        };
        let mut length = 0;
        for header in &*response.headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                length = str::from_utf8(header.value).unwrap().parse().unwrap();
            }
            let chunked = header.name.eq_ignore_ascii_case("transfer-encoding");
            assert!(!chunked, "the answer has no length");
        }
        Some(Self {
            status: response.code.unwrap(),
            head: &bytes[..head],
            body: bytes.get(head..head + length)?,
        })
    }

    /// Names and values, without the status line.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let head = str::from_utf8(self.head).unwrap();
        head.lines().filter_map(|line| line.split_once(": "))
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&'a str> {
        let mut headers = self.headers();
        headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
    }

    pub(crate) fn text(&self) -> &'a str {
        str::from_utf8(self.body).unwrap()
    }
}

impl fmt::Display for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = String::from_utf8_lossy(self.head);
        write!(f, "{head}{}", String::from_utf8_lossy(self.body))
    }
}
