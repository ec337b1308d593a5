//! The daemon `network-info`; what it does is in the library's [`network_info::serve`].

use network_info::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    daemon::log::init("network-info");
    let config: Config = daemon::config::load(&daemon::config::path_from_args()?)?;
    config.check()?;
    daemon::run_until_signal(|stop| network_info::serve(config, stop)).await
}
