//! In which spellings may a carrier deliver our numbers, and which number did it mean?
//!
//! LiveKit compares the dialled text before we see the call, so the inbound trunk lists every
//! spelling; afterwards [`find_dialled`] finds the DID that was meant.

use store::{
    Connection, StoreError,
    dids::Did,
    tenants,
    trunks::{NumberFormat, Trunk},
};
use types::E164;

/// What the inbound trunk accepts for one number. `country` is the tenant's, for the national form.
pub fn spellings(number: &E164, format: NumberFormat, country: Option<&str>) -> Vec<String> {
    let national = || country.and_then(|country| number.national(country));
    let digits = number.digits();
    match format {
        NumberFormat::Any => number.spellings().into_iter().chain(national()).collect(),
        NumberFormat::PlusE164 => vec![number.as_str().to_owned()],
        NumberFormat::E164 => vec![digits.to_owned()],
        NumberFormat::International => vec![format!("00{digits}")],
        // Without a country code there is no national form: take what can be told.
        NumberFormat::National => national().map_or_else(|| number.spellings(), |one| vec![one]),
    }
}

/// Everything the trunk's inbound side accepts.
pub fn all(dids: &[Did], format: NumberFormat, country: Option<&str>) -> Vec<String> {
    dids.iter().flat_map(|did| spellings(&did.spec.number, format, country)).collect()
}

/// The enabled DID of this trunk that a caller has dialled, however the carrier spells it.
pub fn find_dialled(conn: &Connection, trunk: &Trunk, dialled: &str) -> Result<Option<Did>, StoreError> {
    let country = tenants::find(conn, trunk.tenant_id)?.spec.country_code;
    let dids = store::dids::on_trunk(conn, trunk.id)?;
    let meant = |did: &Did| {
        let any = spellings(&did.spec.number, NumberFormat::Any, country.as_deref());
        any.iter().any(|spelling| spelling == dialled)
    };
    Ok(dids.into_iter().find(meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(format: NumberFormat, country: Option<&str>) -> Vec<String> {
        spellings(&"+31201234567".parse().unwrap(), format, country)
    }

    #[test]
    fn any_format_accepts_every_spelling() {
        assert_eq!(of(NumberFormat::Any, Some("31")), ["+31201234567", "0031201234567", "31201234567", "0201234567"]);
        assert_eq!(of(NumberFormat::Any, None).len(), 3);
        assert_eq!(of(NumberFormat::Any, Some("49")).len(), 3);
    }

    #[test]
    fn a_named_format_accepts_just_that_one() {
        assert_eq!(of(NumberFormat::PlusE164, None), ["+31201234567"]);
        assert_eq!(of(NumberFormat::E164, None), ["31201234567"]);
        assert_eq!(of(NumberFormat::International, None), ["0031201234567"]);
        assert_eq!(of(NumberFormat::National, Some("31")), ["0201234567"]);
        assert_eq!(of(NumberFormat::National, None).len(), 3);
    }
}
