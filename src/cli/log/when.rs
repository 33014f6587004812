//! Instants on the command line: RFC 3339, or how long ago.

use jiff::{SignedDuration, Timestamp};

/// Reads `2026-11-27T10:00:00Z`, or `90s`, `5m`, `2h`, `7d`, with or without ` ago`.
///
/// # Errors
/// It is neither.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let wrong = || {
        format!("`{text}` is no instant; write 2026-11-27T10:00:00Z, or 90s, 5m, 2h or 7d for so long ago")
    };
    let long = text.strip_suffix("ago").unwrap_or(text).trim();
    let (amount, unit) = long.split_at_checked(long.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let amount: u32 = amount.trim().parse().map_err(|_error| wrong())?;
    let ago = SignedDuration::from_secs(i64::from(amount) * seconds);
    Timestamp::now().checked_sub(ago).map_err(|_error| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_and_nothing_else_is() {
        let at = instant("2026-11-27T10:00:00+01:00").unwrap();
        assert_eq!(at.as_second(), 1_795_770_000);
        for (text, seconds) in [("90s", 90), ("5m ago", 300), ("2h", 7_200), ("7d ago", 604_800)] {
            let ago = Timestamp::now().as_second() - instant(text).unwrap().as_second();
            assert!((seconds..seconds + 60).contains(&ago), "{text}: {ago}");
        }
        for wrong in ["", "ago", "h", "2", "2w", "-2h", "2026-11-27", "99999999999d", "é"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
