//! Which passwords and keys does this box use?
//!
//! Made at the first start in a data folder and kept there, so that a later start finds the same people
//! and the same LiveKit key.

use crate::data::DataDir;
use anyhow::Context;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    pub admin_email: String,
    pub admin_password: String,
    pub livekit_key: String,
    pub livekit_secret: String,
    pub s3_access_key: String,
    pub s3_secret_key: String,
    /// Admin of the first tenant.
    pub api_key: String,
}

const FILE: &str = "secrets.json";

impl Secrets {
    pub fn load_or_make(data: &DataDir) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is not ours", path.display())),
            Err(_) => {
                let made = Self::make();
                made.save(data)?;
                Ok(made)
            }
        }
    }

    fn save(&self, data: &DataDir) -> anyhow::Result<()> {
        data.write(FILE, &serde_json::to_string_pretty(self)?)?;
        Ok(())
    }

    fn make() -> Self {
        Self {
            admin_email: "admin@scaibox.local".to_owned(),
            admin_password: random_hex(10),
            livekit_key: format!("box{}", random_hex(6)),
            livekit_secret: random_hex(24),
            s3_access_key: format!("box{}", random_hex(6)),
            s3_secret_key: random_hex(20),
            api_key: format!("key_box_{}", random_hex(24)),
        }
    }
}

fn random_hex(bytes: usize) -> String {
    hex::encode((0..bytes).map(|_| rand::random()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_finds_the_same_password() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(folder.path())).unwrap();
        let first = Secrets::load_or_make(&data).unwrap();
        let second = Secrets::load_or_make(&data).unwrap();
        assert_eq!(first.admin_password, second.admin_password);
        assert_ne!(first.admin_password, Secrets::make().admin_password);
    }
}
