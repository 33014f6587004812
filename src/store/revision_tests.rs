//! Revisions that callers made up, altered or kept too long.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::revision::{LOG, RevisionError, RevisionKey, Signer, unpredictable};

const GENERATION: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn signer() -> Signer {
    Signer::new(RevisionKey::random(), unpredictable())
}

fn check(signer: &Signer, revision: &str, served: u64) -> Result<(), RevisionError> {
    signer.check(revision, served).map(drop)
}

#[test]
fn a_revision_counts_up_to_the_one_that_is_served() {
    let signer = signer();
    let revision = signer.sign(GENERATION, 7);
    assert!(revision.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{revision}");
    for (served, expected) in [(6, Err(RevisionError::Ahead)), (7, Ok(())), (8, Ok(())), (u64::MAX, Ok(()))] {
        assert_eq!(check(&signer, &revision, served), expected, "served {served}");
    }
}

#[test]
fn a_change_of_any_bit_is_noticed() {
    let signer = signer();
    let bytes = URL_SAFE_NO_PAD.decode(signer.sign(GENERATION, 1)).unwrap();
    assert_eq!(bytes.len(), 73);
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut forged = bytes.clone();
        forged[at] ^= 1 << bit;
        let forged = URL_SAFE_NO_PAD.encode(forged);
        assert_eq!(check(&signer, &forged, u64::MAX), Err(RevisionError::BadTag), "byte {at}, bit {bit}");
    }
}

#[test]
fn a_shortened_tag_is_no_tag() {
    let signer = signer();
    let bytes = URL_SAFE_NO_PAD.decode(signer.sign(GENERATION, 1)).unwrap();
    for length in 0..bytes.len() {
        let cut = URL_SAFE_NO_PAD.encode(bytes.get(..length).unwrap());
        assert_eq!(check(&signer, &cut, 1), Err(RevisionError::BadTag), "{length} bytes");
    }
}

#[test]
fn a_change_of_any_character_is_noticed() {
    let signer = signer();
    let revision = signer.sign(GENERATION, 1);
    for at in 0..revision.len() {
        for other in ["A", "z", "_", "=", "+", "/", " ", "é", ""] {
            let mut forged = revision.clone();
            forged.replace_range(at..=at, other);
            if forged != revision {
                let checked = check(&signer, &forged, u64::MAX);
                assert_eq!(checked, Err(RevisionError::BadTag), "`{other}` at {at}");
            }
        }
    }
    for forged in [String::new(), "A".to_owned(), revision.repeat(2), format!("{revision}AA"), "A".repeat(98)]
    {
        assert_eq!(check(&signer, &forged, u64::MAX), Err(RevisionError::BadTag), "{forged}");
    }
}

#[test]
fn another_key_is_no_key_and_another_log_is_told_apart() {
    let key = RevisionKey::from([7; RevisionKey::BYTES]);
    let (signer, restarted) = (Signer::new(key.clone(), [1; LOG]), Signer::new(key, [2; LOG]));
    let revision = signer.sign(GENERATION, 1);
    assert_eq!(check(&restarted, &revision, 9), Err(RevisionError::OtherLog));
    let stranger = Signer::new(RevisionKey::from([8; RevisionKey::BYTES]), [1; LOG]);
    assert_eq!(check(&stranger, &revision, 9), Err(RevisionError::BadTag));
    assert_ne!(self::signer().sign(GENERATION, 1), revision);
}

#[test]
fn a_key_is_not_shown() {
    assert_eq!(format!("{:?}", RevisionKey::from([7; RevisionKey::BYTES])), "RevisionKey(…)");
}
