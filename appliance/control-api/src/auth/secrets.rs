//! How are passwords and keys made, stored and checked?
//!
//! Passwords and API keys are stored as argon2id; session tokens, which are long and random, as
//! SHA-256. Hashing takes tens of milliseconds on purpose and runs on a blocking thread.

use crate::error::{ApiError, ApiResult};
use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{self, SaltString},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rand::RngCore;
use sha2::{Digest, Sha256};
use types::KeyId;

/// Hashes a password or key for the database.
pub async fn hash(secret: String) -> ApiResult<String> {
    let work = move || hash_now(&secret);
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?.map_err(ApiError::internal)
}

/// True when the secret is the one that was hashed. Without a hash it takes as long and is false, so
/// that nobody learns from the time whether an account exists.
pub async fn verify(secret: String, hash: Option<String>) -> ApiResult<bool> {
    let work = move || match hash {
        Some(hash) => verify_now(&secret, &hash),
        None => hash_now(&secret).map(|_| false).unwrap_or(false),
    };
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}

/// A fresh API key: what the user is shown, once.
pub fn new_key(id: KeyId) -> String {
    format!("{id}_{}", hex::encode(random::<24>()))
}

/// The part of a key that it is looked up by: all before the last `_`, or the first eight characters.
pub fn lookup(key: &str) -> String {
    match key.rsplit_once('_') {
        Some((front, secret)) if !front.is_empty() && !secret.is_empty() => front.to_owned(),
        _ => key.chars().take(8).collect(),
    }
}

/// A token for a cookie or a form.
pub fn new_token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random::<32>())
}

/// For secrets that are random enough to need no slow hash.
pub fn sha256(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn hash_now(secret: &str) -> Result<String, password_hash::Error> {
    let salt = SaltString::encode_b64(&random::<16>())?;
    Ok(Argon2::default().hash_password(secret.as_bytes(), &salt)?.to_string())
}

fn verify_now(secret: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_its_hash() {
        let hashed = hash("correct horse".into()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$"));
        assert!(verify("correct horse".into(), Some(hashed.clone())).await.unwrap());
        assert!(!verify("wrong horse".into(), Some(hashed)).await.unwrap());
        assert!(!verify("correct horse".into(), None).await.unwrap());
    }

    #[test]
    fn a_key_is_looked_up_by_what_stands_before_its_secret() {
        let id = KeyId::new();
        assert_eq!(lookup(&new_key(id)), id.to_string());
        assert_eq!(lookup("0123456789"), "01234567");
    }
}
