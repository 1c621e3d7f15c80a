//! The only reader of time. Everything else is handed a [`Clock`], so that tests own it.

use chrono::{DateTime, SubsecRound as _, Utc};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use evidenced_collector_api::Clock;

/// A clock to share between threads.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock, in milliseconds as leaves hold them.
struct System {
    began: Instant,
}

/// The machine's clock; its monotonic time begins now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the time"
)]
pub fn system() -> SharedClock {
    Arc::new(System {
        began: Instant::now(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the time"
)]
impl Clock for System {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}
