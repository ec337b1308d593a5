//! How our values look in SQLite: ids and enums as their text, times as sortable text, the rest as JSON.

use jiff::Timestamp;
use rusqlite::{Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};

/// RFC 3339 UTC with exactly three decimals, so that text order is time order.
pub fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// An optional value as its text.
pub fn text<T: Display>(value: Option<T>) -> Option<String> {
    value.map(|it| it.to_string())
}

/// For `skip_serializing_if` on a secret: it may be set, and is never shown.
pub fn never_shown<T>(_: &T) -> bool {
    true
}

/// A value as JSON text.
pub fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|err| rusqlite::Error::ToSqlConversionFailure(err.into()))
}

/// A text column as the id, number, enum or time that it spells.
pub fn parse<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get::<_, String>(column)?.parse().map_err(|err: T::Err| damaged(row, column, Box::new(err)))
}

/// The same for a column that may be null.
pub fn parse_opt<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|err: T::Err| damaged(row, column, Box::new(err)))).transpose()
}

/// A JSON column.
pub fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|err| damaged(row, column, Box::new(err)))
}

/// A JSON column that may be null.
pub fn from_json_opt<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|err| damaged(row, column, Box::new(err)))).transpose()
}

fn damaged(row: &Row<'_>, column: &str, err: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, err)
}

/// A text is none of an enum's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of {known}")]
pub struct NotAChoice {
    pub text: String,
    pub known: String,
}

/// An enum with one stable spelling for the API, the database and the log.
pub trait Choice: Sized + Copy + FromStr<Err = NotAChoice> {
    const ALL: &'static [&'static str];
}

/// Defines enums with one stable spelling each; see [`Choice`].
#[macro_export]
macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] #[schema(rename = $text)] $variant),+ }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl $crate::sql::Choice for $name {
            const ALL: &'static [&'static str] = &[$($text),+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::sql::NotAChoice;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::sql::NotAChoice {
                        text: text.to_owned(),
                        known: <Self as $crate::sql::Choice>::ALL.join(", "),
                    }),
                }
            }
        }
    )+};
}
