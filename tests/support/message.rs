//! HTTP/1.1 messages as they stood on the wire. The parser is lenient on purpose: it judges nothing.

use std::io::{self, Read};

/// Field lines in the order sent, names in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) first_line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw).into_owned();
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let first_line = lines.next().unwrap_or_default().to_owned();
        Self { first_line, fields: lines.map(field).collect() }
    }

    /// All values of a field, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a field; two are a failure of the test.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} more than once: {all:?}");
        all.first().copied()
    }

    fn body_length(&self) -> Option<usize> {
        self.get("content-length").map(|length| length.parse().expect("a length"))
    }

    fn is_chunked(&self) -> bool {
        self.all("transfer-encoding").iter().any(|coding| coding.eq_ignore_ascii_case("chunked"))
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

/// A request as a backend received it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.head.first_line.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.head.first_line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head.all(name)
    }
}

/// A final response as a client received it, with the interim ones before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) interim: Vec<Head>,
    /// The body ended as its framing promised.
    pub(crate) complete: bool,
}

impl Response {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head.all(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks that this is a problem made by the gateway, consistent in itself, and returns its code.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.get("content-type"), Some("application/problem+json"), "{self:?}");
        let document: serde_json::Value = serde_json::from_slice(&self.body).expect("a problem document");
        let code = document["code"].as_str().expect("code").to_owned();
        assert_eq!(document["status"], self.status, "{document}");
        assert_eq!(document["type"], format!("urn:figway:error:{code}"));
        assert_eq!(self.get("x-figway-error"), Some(code.as_str()));
        assert!(document["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{document}");
        code
    }
}

pub(crate) fn status_of(head: &Head) -> u16 {
    let status = head.first_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("not a status line: {:?}", head.first_line))
}

/// Reads messages off a stream and keeps what lies beyond them.
#[derive(Debug)]
pub(crate) struct MessageReader<S> {
    pub(crate) stream: S,
    pub(crate) buffer: Vec<u8>,
}

impl<S: Read> MessageReader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Reads more; `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 64 << 10];
        let read = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read > 0)
    }

    fn take_until(&mut self, mark: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Ok(Some(self.buffer.drain(..at + mark.len()).collect()));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// A head with its empty line; `None` when the stream ends before it does.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        Ok(self.take_until(b"\r\n\r\n")?.map(|raw| Head::parse(&raw)))
    }

    /// The body that a head announces; the flag says whether all of it came.
    pub(crate) fn body(&mut self, head: &Head, until_close: bool) -> io::Result<Body> {
        if head.is_chunked() {
            return self.chunked();
        }
        if let Some(length) = head.body_length() {
            while self.buffer.len() < length {
                if !self.fill()? {
                    return Ok(Body { bytes: std::mem::take(&mut self.buffer), ..Body::default() });
                }
            }
            return Ok(Body { bytes: self.buffer.drain(..length).collect(), complete: true, ..Body::default() });
        }
        if until_close {
            while self.fill()? {}
            return Ok(Body { bytes: std::mem::take(&mut self.buffer), complete: true, ..Body::default() });
        }
        Ok(Body { complete: true, ..Body::default() })
    }

    /// One chunk's data; empty for the last one, `None` when the stream ends before it does.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(line) = self.take_until(b"\r\n")? else { return Ok(None) };
        let line = String::from_utf8_lossy(&line).into_owned();
        let digits = line.trim().split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("not a chunk line: {line:?}"));
        if length == 0 {
            return Ok(Some(Vec::new()));
        }
        while self.buffer.len() < length + 2 {
            if !self.fill()? {
                return Ok(None);
            }
        }
        let mut data: Vec<u8> = self.buffer.drain(..length + 2).collect();
        data.truncate(length);
        Ok(Some(data))
    }

    fn chunked(&mut self) -> io::Result<Body> {
        let mut body = Body::default();
        loop {
            let Some(chunk) = self.chunk()? else { return Ok(body) };
            if chunk.is_empty() {
                break;
            }
            body.bytes.extend(chunk);
        }
        while let Some(line) = self.take_until(b"\r\n")? {
            let line = String::from_utf8_lossy(&line).into_owned();
            if line == "\r\n" {
                body.complete = true;
                break;
            }
            body.trailers.push(field(line.trim_end()));
        }
        Ok(body)
    }
}

/// A body as it came.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) complete: bool,
}
