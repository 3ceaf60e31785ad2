//! Keyed hashes over requests.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Value;

use super::draft::{Algorithm, Encoding, KeyEncoding};
use super::expression::Failed;
use super::template::Template;
use super::variables::Variables;

/// How requests are signed.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) algorithm: Algorithm,
    pub(super) key: Template,
    pub(super) key_encoding: KeyEncoding,
    pub(super) over: Template,
    pub(super) encoding: Encoding,
    pub(super) header: http::HeaderName,
    pub(super) value: Option<Template>,
}

impl Signature {
    /// The field that carries the signature, given the variables of the request that is signed.
    ///
    /// # Errors
    /// [`Failed`] if a template has no value or the key is not written as it should be.
    pub(super) fn field(&self, mut variables: Variables) -> Result<String, Failed> {
        let all = variables.all();
        let key = self.key(&all)?;
        let over = self.over.plain(&all)?.unwrap_or_default();
        let algorithm = match self.algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, &key), over.as_bytes());
        let signature = match self.encoding {
            Encoding::Hex => to_hex(tag.as_ref()),
            Encoding::Base64 => STANDARD.encode(tag.as_ref()),
        };
        let Some(value) = &self.value else { return Ok(signature) };
        variables.add("signature", Value::from(signature));
        Ok(value.plain(&variables.all())?.unwrap_or_default())
    }

    /// The key itself.
    ///
    /// # Errors
    /// [`Failed`] if there is none, or one that is written in another way than `key_encoding` says.
    pub(super) fn key(&self, variables: &Value) -> Result<Vec<u8>, Failed> {
        let key = self.key.plain(variables)?.filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Failed("the key of the signature is empty".into()))?;
        let key = match self.key_encoding {
            KeyEncoding::Text => Some(key.into_bytes()),
            KeyEncoding::Hex => from_hex(&key),
            KeyEncoding::Base64 => STANDARD.decode(&key).ok(),
        };
        key.ok_or_else(|| {
            let is = self.key_encoding.as_str();
            Failed(format!("the key of the signature is not written in {is}, as sign.key_encoding says"))
        })
    }

    /// A secret for examples, in the form that the key has.
    pub(super) fn example(&self, name: &str) -> String {
        let plain = format!("example-{name}");
        match self.key_encoding {
            KeyEncoding::Hex if self.key.reads_any(&[&format!("credentials.{name}")]) => to_hex(plain.as_bytes()),
            KeyEncoding::Base64 if self.key.reads_any(&[&format!("credentials.{name}")]) => STANDARD.encode(plain),
            _ => plain,
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
