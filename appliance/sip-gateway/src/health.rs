//! Can the gateway take calls?
//!
//! In livekit-sip's words and status codes, so that load balancers need not be taught anew.

use axum::http::StatusCode;

/// What a load balancer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ok,
    /// Calls end, new ones are refused.
    Stopped,
    /// Busier than `max_cpu_utilization`.
    UnderLoad,
}

impl Health {
    pub fn of(stopping: bool, cpu_load: f64, max_cpu_utilization: f64) -> Self {
        match stopping {
            true => Self::Stopped,
            false if cpu_load > max_cpu_utilization => Self::UnderLoad,
            false => Self::Ok,
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::UnderLoad => StatusCode::TOO_MANY_REQUESTS,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Stopped => "Stopped",
            Self::UnderLoad => "UnderLoad",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_gateway_says_429_and_a_stopping_one_503_whatever_its_load() {
        let told = |health: Health| (health.status().as_u16(), health.word());
        assert_eq!(told(Health::of(false, 0.9, 0.9)), (200, "OK"));
        assert_eq!(told(Health::of(false, 0.91, 0.9)), (429, "UnderLoad"));
        assert_eq!(told(Health::of(true, 1.0, 0.9)), (503, "Stopped"));
    }
}
