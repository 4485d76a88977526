//! A PostgreSQL that vanishes without a word, as in a failover: connections that are open answer nothing and are not cut,
//! new ones reach whoever took over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use stanch::store::{Error, Settings, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::db::{KEEP_REPORTS_FOR, TestDb, seal_ring};
use crate::given::{delivery, opened};

const CONNECTIONS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_vanish_in_use_are_given_up_and_new_ones_made() {
    let db = TestDb::postgres().await;
    let (address, url) = at_the_server(&db);
    let network = Network::to(address).await;
    let settings = Settings {
        url: url.replace(&address.to_string(), &network.address.to_string()),
        max_connections: CONNECTIONS,
        keep_reports_for: KEEP_REPORTS_FOR,
    };
    let store = Store::open(&settings, seal_ring("s1", &[]), db.clock.clone()).await.expect("the database opens");
    opened(&store, delivery(&["before"], db.clock.now())).await;

    // Every connection is in the middle of a question when the server vanishes; all but one of those who asked have
    // gone away by then, as a readiness probe does.
    let mut lock = sqlx::PgConnection::connect(&url).await.expect("the server answers");
    sqlx::raw_sql("BEGIN; LOCK TABLE incidents IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.expect("locked");
    let mut asking = JoinSet::new();
    for _ in 1..CONNECTIONS {
        let store = store.clone();
        asking.spawn(async move {
            let asked = tokio::time::timeout(Duration::from_millis(300), store.incident_counts()).await;
            assert!(asked.is_err(), "the table is locked");
        });
    }
    let patient = {
        let store = store.clone();
        tokio::spawn(async move { store.incident_counts().await })
    };
    asking.join_all().await;
    network.vanish();
    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.expect("it is ours");

    let answer = tokio::time::timeout(Duration::from_secs(20), patient).await.expect("nobody waits for ever");
    assert!(matches!(answer.expect("no panic"), Err(Error::Unavailable(_))));
    let since = Instant::now();
    while store.ping().await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "the places of vanished connections are never free again");
    }
    let mut answered = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let store = store.clone();
        answered.spawn(async move { store.incident_counts().await.expect("new connections, for everybody") });
    }
    answered.join_all().await;
    opened(&store, delivery(&["after"], db.clock.now())).await;
}

/// Where the server is, and the database's URL with that address in it.
fn at_the_server(db: &TestDb) -> (SocketAddr, String) {
    let url = db.url();
    let place = url.rsplit_once('@').expect("a user").1.split('/').next().expect("a host");
    (place.parse().expect("an address"), url.clone())
}

/// Everything between us and the server.
struct Network {
    address: SocketAddr,
    /// Connections of an older generation than this have lost their other end.
    generation: Arc<AtomicU32>,
}

impl Network {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let generation = Arc::new(AtomicU32::new(0));
        let now = Arc::clone(&generation);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.expect("the server listens");
                let (mine, now) = (now.load(Ordering::SeqCst), Arc::clone(&now));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_client, to_server, mine, Arc::clone(&now)));
                tokio::spawn(carry(from_server, to_client, mine, now));
            }
        });
        Self { address, generation }
    }

    /// From now on nothing passes on the connections that are open, and neither side is told.
    fn vanish(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mine: u32,
    now: Arc<AtomicU32>,
) {
    let mut buffer = [0; 4_096];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if now.load(Ordering::SeqCst) != mine {
            // Kept open, and silent.
            std::future::pending::<()>().await;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
