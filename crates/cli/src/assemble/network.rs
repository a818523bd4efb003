//! The way to providers: HTTP, directly or through a proxy, or none where this program was built without.

#[cfg(feature = "http")]
mod there {
    use std::sync::Arc;
    use std::time::Duration;

    use aichat_providers::{Finding, Http, Transport};

    use crate::failure::Failure;

    /// The way to providers.
    pub(crate) struct Network {
        /// To servers elsewhere: through the proxy of the flag or of the environment.
        routed: Http,
        /// To servers on this machine, which the environment's proxies do not see.
        direct: Http,
    }

    impl Network {
        /// Whether there is one.
        pub(crate) const IS_THERE: bool = true;

        /// Returns the way through a proxy, or through those that the environment names.
        ///
        /// # Errors
        /// Fails with kind `config` where the proxy is none.
        pub(crate) fn new(proxy: Option<&str>) -> Result<Self, Failure> {
            let (routed, direct) = match proxy {
                Some(proxy) => {
                    let refused = |error: aichat_providers::Error| {
                        Failure::new(error.kind(), format!("--proxy: {error}"))
                            .hint("a proxy is written http://HOST:PORT, or with https, socks5 or socks5h")
                    };
                    let http = Http::with_proxy(proxy).map_err(refused)?;
                    (http.clone(), http)
                }
                None => (Http::from_env(), Http::new()),
            };
            Ok(Self { routed, direct })
        }

        /// Returns what carries requests to a server, here or elsewhere.
        pub(crate) fn transport(&self, is_here: bool, connect: Option<Duration>) -> Arc<dyn Transport> {
            Arc::new(self.http(is_here, connect))
        }

        /// Goes the way to an address step by step, without asking anything there.
        pub(crate) async fn reach(
            &self,
            is_here: bool,
            connect: Option<Duration>,
            url: &str,
        ) -> Vec<Finding> {
            self.http(is_here, connect).reach(url).await
        }

        fn http(&self, is_here: bool, connect: Option<Duration>) -> Http {
            let http = if is_here { &self.direct } else { &self.routed };
            match connect {
                Some(limit) => http.with_connect_timeout(limit),
                None => http.clone(),
            }
        }
    }
}

#[cfg(not(feature = "http"))]
mod there {
    use std::sync::Arc;
    use std::time::Duration;

    use aichat_providers::{Finding, Replay, Transport};

    use crate::failure::Failure;

    /// The way to providers, of which there is none.
    pub(crate) struct Network;

    impl Network {
        /// Whether there is one.
        pub(crate) const IS_THERE: bool = false;

        pub(crate) fn new(_: Option<&str>) -> Result<Self, Failure> {
            Ok(Self)
        }

        /// Returns what answers no request.
        pub(crate) fn transport(&self, _: bool, _: Option<Duration>) -> Arc<dyn Transport> {
            Arc::new(Replay::new([]))
        }

        pub(crate) async fn reach(&self, _: bool, _: Option<Duration>, _: &str) -> Vec<Finding> {
            Vec::new()
        }
    }
}

pub(super) use there::Network;
