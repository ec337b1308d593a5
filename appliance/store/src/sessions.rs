//! Signed-in browsers. The cookie's token is kept as its SHA-256 only.

use crate::{Record, StoreError, sql, users::User};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use types::UserId;

pub fn insert(
    tx: &Transaction<'_>,
    token_sha256: &str,
    user: UserId,
    csrf_token: &str,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let now = sql::time(Timestamp::now());
    tx.execute("DELETE FROM session WHERE expires_at < ?1", [&now])?;
    tx.execute(
        "INSERT INTO session (token_sha256, user_id, csrf_token, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![token_sha256, user.to_string(), csrf_token, now, sql::time(expires_at)],
    )?;
    Ok(())
}

/// The user behind a cookie that has not expired, with the CSRF token of that session.
pub fn find_user(conn: &Connection, token_sha256: &str, now: Timestamp) -> Result<Option<(User, String)>, StoreError> {
    let sql = "SELECT user.*, session.csrf_token FROM session JOIN user ON user.id = session.user_id
               WHERE token_sha256 = ?1 AND expires_at > ?2 AND user.enabled";
    let read = |row: &rusqlite::Row<'_>| Ok((User::from_row(row)?, row.get("csrf_token")?));
    Ok(conn.query_row(sql, params![token_sha256, sql::time(now)], read).optional()?)
}

pub fn delete(tx: &Transaction<'_>, token_sha256: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM session WHERE token_sha256 = ?1", [token_sha256])?;
    Ok(())
}

/// Signs a user out everywhere: after a new password, or when they are switched off.
pub fn delete_of(tx: &Transaction<'_>, user: UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM session WHERE user_id = ?1", [user.to_string()])?;
    Ok(())
}
