//! Parameters of statements: the few types that both databases share.

use bytes::Bytes;

/// A parameter. Every variant knows its type when it is null, since PostgreSQL
/// refuses an untyped one.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `{bigint}`
    Int(Option<i64>),
    /// `{text}`
    Text(Option<String>),
    /// `{blob}`
    Blob(Option<Vec<u8>>),
    /// `{bool}`
    Bool(Option<bool>),
    /// `{real}`
    Real(Option<f64>),
}

macro_rules! values {
    ($($from:ty => $variant:ident, $convert:expr;)*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$variant(Some(convert(value)))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$variant(value.map(convert))
            }
        }
    )*};
}

values! {
    i64 => Int, |value| value;
    i32 => Int, i64::from;
    u32 => Int, i64::from;
    bool => Bool, |value| value;
    f64 => Real, |value| value;
    &str => Text, str::to_owned;
    &String => Text, String::clone;
    String => Text, |value| value;
    &[u8] => Blob, <[u8]>::to_vec;
    &Vec<u8> => Blob, Vec::clone;
    Vec<u8> => Blob, |value| value;
    Bytes => Blob, |value| value.to_vec();
}

/// The parameters of a statement: `params![id, title]` for `$1` and `$2`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        ::std::vec![$($crate::Value::from($value)),*]
    };
}
