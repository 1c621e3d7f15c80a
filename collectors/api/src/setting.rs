//! Settings that are checked as they are read, refused in words that say what is right.

use serde::Deserialize;

/// A text or a whole number, as a settings file holds them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Plain {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// What a checked setting holds.
pub trait FromPlain: Sized {
    /// The value, if it is of the right kind and in reach.
    fn from_plain(plain: Plain) -> Option<Self>;
}

impl FromPlain for String {
    fn from_plain(plain: Plain) -> Option<Self> {
        match plain {
            Plain::Text(text) => Some(text),
            Plain::Number(_) => None,
        }
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {
        $(impl FromPlain for $number {
            fn from_plain(plain: Plain) -> Option<Self> {
                match plain {
                    Plain::Number(number) => Self::try_from(number).ok(),
                    Plain::Text(_) => None,
                }
            }
        })*
    };
}

whole_numbers!(u16, u64, usize);

/// Defines a setting that is a text or a whole number: its name, what it holds and perhaps its default, whether a value
/// is good, and what is said of one that is not.
///
/// ```
/// evidenced_collector_api::checked_setting!(
///     /// Requests at once.
///     Concurrency(usize = 8),
///     |number| (1..=50).contains(number),
///     "concurrency is a number from 1 to 50"
/// );
///
/// # fn main() {
/// assert_eq!(Concurrency::default().0, 8);
/// assert!(toml::Value::Integer(51).try_into::<Concurrency>().is_err());
/// # }
/// ```
#[macro_export]
macro_rules! checked_setting {
    ($(#[$doc:meta])* $name:ident($inner:ty $(= $default:expr)?), $good:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
        #[serde(try_from = "evidenced_collector_api::Plain")]
        pub struct $name(pub $inner);

        impl TryFrom<$crate::Plain> for $name {
            type Error = String;

            fn try_from(plain: $crate::Plain) -> Result<Self, String> {
                let good: fn(&$inner) -> bool = $good;
                <$inner as $crate::FromPlain>::from_plain(plain)
                    .filter(good)
                    .map(Self)
                    .ok_or_else(|| $expected.to_owned())
            }
        }

        $(impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        })?
    };
}
