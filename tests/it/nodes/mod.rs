//! Several gateways on one Redis behave as one, whatever comes to them at once.

/// Runs each case, an `async fn(&Nodes)`, on one server and in a cluster, and audits what it leaves behind.
macro_rules! on_three_nodes {
    ($($case:ident),+ $(,)?) => {
        on_three_nodes!(one_server = shared::standalone(); $($case),+);
        on_three_nodes!(cluster = shared::cluster(); $($case),+);
    };
    ($name:ident = $topology:expr; $($case:ident),+) => {
        mod $name {
            use crate::nodes::gateways::Nodes;
            use crate::store::redis::shared;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let nodes = Nodes::start($topology.await).await;
                    super::$case(&nodes).await;
                    nodes.close().await;
                }
            )+
        }
    };
}

mod gateways;
mod job;

pub(crate) use job::do_everything;

mod bans;
mod commands;
mod counters;
mod cursors;
mod ends;
mod followers;
mod kills;
mod limits;
mod logins;
mod profiles;
mod repetitions;
mod rotation;
mod secured;
mod services;
mod writes;
