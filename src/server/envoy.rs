//! Types and the service generated from `proto/envoy/`, Envoy's API as far as it is restated there.
#![allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::too_many_lines,
    reason = "generated; the documentation is in proto/"
)]

/// Generated code finds types of other packages by their place, so packages are nested as they are named.
pub mod config {
    pub mod core {
        pub mod v3 {
            tonic::include_proto!("envoy.config.core.v3");
        }
    }
}

pub mod r#type {
    pub mod v3 {
        tonic::include_proto!("envoy.r#type.v3");
    }
}

pub mod service {
    pub mod auth {
        pub mod v3 {
            tonic::include_proto!("envoy.service.auth.v3");
        }
    }
}

pub use config::core::v3 as core;
pub use service::auth::v3 as auth;
pub use r#type::v3 as types;
