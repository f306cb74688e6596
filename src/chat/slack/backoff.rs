//! Pauses between tries: longer each time, and never the same for two of us.

use std::{sync::Arc, time::Duration};

/// Random numbers; the edge hands them in.
pub type Chance = Arc<dyn Fn() -> u32 + Send + Sync>;

/// The first pause.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The pause after so many failures in a row: somewhere between half of it and the whole.
#[must_use]
pub fn pause(failures: u32, chance: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    let half = whole / 2;
    half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let most = |failures| pause(failures, u32::MAX).as_millis();
        assert_eq!((1..=9).map(most).collect::<Vec<_>>(), [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(pause(1, 0).as_millis(), 125);
        assert_eq!(pause(u32::MAX, 0), LONGEST / 2);
    }
}
