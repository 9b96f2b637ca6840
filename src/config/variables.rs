//! The table of all variables, in the order in which `.env.example` lists them.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not set; `None` if there is nothing to fall back to.
    pub default: Option<&'static str>,
    /// What stands in the example where there is no default.
    sample: &'static str,
    /// What it sets.
    pub about: &'static str,
}

/// Makes the constants and the list from one table, so that neither can miss a row.
macro_rules! variables {
    ($($constant:ident = $name:literal, $default:expr, $sample:literal, $about:literal;)+) => {
        $(pub(super) const $constant: Variable = Variable {
            name: $name,
            default: $default,
            sample: $sample,
            about: $about,
        };)+

        /// Every setting there is.
        pub const VARIABLES: &[Variable] = &[$($constant),+];
    };
}

variables! {
    LISTEN = "SGW_LISTEN", Some("127.0.0.1:8080"), "",
        "Address and port to listen on. localhost:8080 is every address of the name, :8080 all interfaces by IPv4 and IPv6, which opens it to the network.";
    MAX_CONNECTIONS = "SGW_MAX_CONNECTIONS", Some("10000"), "",
        "The most connections at once; beyond, those that have been idle for the longest give way. Each, and a tenth more, needs a file descriptor (ulimit -n).";
    MAX_CONNECTIONS_PER_ADDRESS = "SGW_MAX_CONNECTIONS_PER_ADDRESS", None, "2500",
        "The most connections of one address on which no service has proved itself; without it, a quarter of all. SGW_TRUSTED_PROXIES are not counted.";
    DRAIN_DELAY = "SGW_DRAIN_DELAY", Some("3s"), "",
        "How long requests are still taken after SIGTERM, while /readyz is 503 and each answer closes its connection.";
    DRAIN_TIMEOUT = "SGW_DRAIN_TIMEOUT", Some("25s"), "",
        "How long requests under way may take after that.";
    METRICS_LISTEN = "SGW_METRICS_LISTEN", None, "127.0.0.1:9090",
        "Address and port for /metrics alone, for whoever reaches it; without it, /metrics is where everything is.";
    METRICS_ALLOW = "SGW_METRICS_ALLOW", None, "10.0.5.0/24",
        "Addresses and networks that may read /metrics, and the details of /readyz, beside this machine and services with service.read.";
    STORE = "SGW_STORE", Some("embedded:./data"), "",
        "Where sessions are kept: embedded:DIR (files, needs nothing else), memory: (gone at exit), redis://HOST, redis+sentinel://HOST,HOST/MASTER or redis+cluster://HOST,HOST; rediss for TLS.";
    STORE_FILE = "SGW_STORE_FILE", None, "/run/secrets/sgw-store",
        "A file that holds it, instead, as it may have a password in it.";
    STORE_RESERVE = "SGW_STORE_RESERVE", None, "64MiB",
        "Room on the disk of embedded:DIR that only endings, sweeping and uses of sessions may take. Without it, 5 % of the file system, but from 16MiB to 64MiB.";
    REDIS_PREFIX = "SGW_REDIS_PREFIX", Some("sgw"), "",
        "Starts every key in Redis, so that several installations can share one.";
    REDIS_CA_FILE = "SGW_REDIS_CA_FILE", None, "/etc/ssl/redis-ca.pem",
        "The certificates (PEM) that a Redis with TLS must be signed by, instead of those the machine trusts.";
    REDIS_WAIT_REPLICAS = "SGW_REDIS_WAIT_REPLICAS", Some("0"), "",
        "How many replicas must have an open, a rotation or an end of a session before it is answered; 503 when they do not come.";
    REDIS_TIMEOUT = "SGW_REDIS_TIMEOUT", Some("100ms"), "",
        "How long Redis may take to answer one command, from 50ms to 2s; after that the answer is 503. Reverse proxies must wait 100ms longer.";
    STORE_FORMAT = "SGW_STORE_FORMAT", None, "1",
        "The number of the format that is written in Redis. Without it, the newest that all gateways read which were heard of in the last 15 seconds.";
    CACHE_MAX_STALENESS = "SGW_CACHE_MAX_STALENESS", Some("1s"), "",
        "How late a node may hear of an ending or of a changed service, at most; usually it takes milliseconds. 0s asks the store each time.";
    CACHE_MAX_BYTES = "SGW_CACHE_MAX_BYTES", Some("96MiB"), "",
        "How much memory a node may use for copies of sessions. One with three short attributes takes 0.9 KB.";
    IDLE_AFTER = "SGW_IDLE_AFTER", Some("5m"), "",
        "A session without use for this long shows the state idle.";
    TOMBSTONE_RETENTION = "SGW_TOMBSTONE_RETENTION", Some("1h"), "",
        "How long an ended session still tells when, why and by whom it ended.";
    EVENT_RETENTION = "SGW_EVENT_RETENTION", Some("24h"), "",
        "How long events stay in the feed; a reader that was away for longer gets 410.";
    EVENT_FOLLOWERS = "SGW_EVENT_FOLLOWERS", Some("1000"), "",
        "The most streams of events at once, and one more for admin. Each takes one of the connections.";
    SERVICE_MAX_REQUESTS_IN_FLIGHT = "SGW_SERVICE_MAX_REQUESTS_IN_FLIGHT", Some("1000"), "",
        "The most requests of one service that a node works on at one time, unless the service has a quota of its own; 0 is no limit.";
    SERVICE_MAX_OPENS_PER_SECOND = "SGW_SERVICE_MAX_OPENS_PER_SECOND", Some("5000"), "",
        "The most sessions that one service opens at a node within a second, unless it has a quota of its own; 0 is no limit.";
    SERVICE_MAX_LIVE_SESSIONS = "SGW_SERVICE_MAX_LIVE_SESSIONS", Some("5000000"), "",
        "The most sessions of one service that live at one time, on all nodes, unless it has a quota of its own; 0 is no limit.";
    SERVICE_MAX_IDEMPOTENCY_BYTES = "SGW_SERVICE_MAX_IDEMPOTENCY_BYTES", Some("64MiB"), "",
        "How much a node keeps within a day to answer repeated requests of one service with, unless it has a quota of its own; 0 is no limit.";
    SERVICE_MAX_FOLLOWERS = "SGW_SERVICE_MAX_FOLLOWERS", Some("100"), "",
        "The most streams of events that a node sends to one service, unless it has a quota of its own; 0 is no limit.";
    SWEEP_INTERVAL = "SGW_SWEEP_INTERVAL", Some("5s"), "",
        "How late the event of an expired session may be. Expiry itself is always exact.";
    SWEEP_GRACE = "SGW_SWEEP_GRACE", Some("24h"), "",
        "How long Redis keeps an expired session for its event, should no gateway run meanwhile.";
    TOUCH_INTERVAL = "SGW_TOUCH_INTERVAL", Some("10s"), "",
        "How long the use of a session may wait to be written; 0s writes it at once.";
    ADMIN_SECRET = "SGW_ADMIN_SECRET", None, "",
        "The secret of the built-in service admin. 32 characters or more, as `openssl rand -hex 32` makes them. Without it, one is made at the first start, and shown, or with SGW_LOG_FORMAT=json written to the file admin-secret of the data directory. One that is set takes the place of one that was made.";
    ADMIN_SECRET_FILE = "SGW_ADMIN_SECRET_FILE", None, "/run/secrets/sgw-admin",
        "A file that holds it, instead.";
    URL = "SGW_URL", None, "https://sessions.internal",
        "Where the commands find the gateway, by http or https. Without it, on SGW_LISTEN.";
    IDLE_TIMEOUT = "SGW_IDLE_TIMEOUT", Some("30m"), "",
        "How long a session lives without use, unless its create says otherwise.";
    MAX_AGE = "SGW_MAX_AGE", Some("24h"), "",
        "How long a session lives at most, unless its create says otherwise.";
    IDLE_TIMEOUT_LIMIT = "SGW_IDLE_TIMEOUT_LIMIT", Some("30d"), "",
        "The longest idle timeout a create may ask for.";
    MAX_AGE_LIMIT = "SGW_MAX_AGE_LIMIT", Some("30d"), "",
        "The greatest age a create may ask for.";
    ROTATE_GRACE = "SGW_ROTATE_GRACE", Some("30s"), "",
        "How long a rotated token stays good, for requests that were on their way. After it, rotating it again ends the session, unless nobody has used its successor.";
    ROTATE_AFTER = "SGW_ROTATE_AFTER", Some("0s"), "",
        "How old a token should become before it is rotated; verify tells when that is. 0s tells nothing.";
    LOGIN_MAX_SESSIONS = "SGW_LOGIN_MAX_SESSIONS", Some("0"), "",
        "How many sessions a login may have at once, unless the service or its create says so: 1 to 200; 0 is any number.";
    LOGIN_LIMIT_PER = "SGW_LOGIN_LIMIT_PER", Some("login"), "",
        "What that counts together: all sessions of a login, or those on the same kind of device: login or device.";
    LOGIN_OVERFLOW = "SGW_LOGIN_OVERFLOW", Some("evict_oldest"), "",
        "What happens to one too many: evict_oldest, evict_least_active or refuse.";
    TOKEN_COOKIE = "SGW_TOKEN_COOKIE", None, "session_token",
        "The cookie from which reverse proxies take the token of a user. Without it, no cookie is read.";
    EXTERNAL_TOKENS = "SGW_EXTERNAL_TOKENS", Some("on"), "",
        "Whether reverse proxies take tokens that callers brought. off: whatever is not of the gateway's own form is an app's own and never asked about; on or off.";
    TRUSTED_PROXIES = "SGW_TRUSTED_PROXIES", None, "127.0.0.1,10.0.0.0/8",
        "Addresses and networks of reverse proxies that ask at /auth/ without credentials. Nobody else may be able to connect from there.";
    EXPORT_ATTRIBUTES = "SGW_EXPORT_ATTRIBUTES", None, "role,plan",
        "Attributes that reverse proxies are told, each in a header X-Auth-Attr-NAME.";
    LOGIN_URL_ALLOW = "SGW_LOGIN_URL_ALLOW", None, "https://login.example.com",
        "Origins of login pages to which /auth/forward may send a browser.";
    PROFILE_LOADER_URL = "SGW_PROFILE_LOADER_URL", None, "https://users.internal/v1/users/{login_id}",
        "Where a profile that is not kept is loaded: a GET that answers a JSON object, or 404. Without {login_id} in its path or query, the login id goes into a query parameter login_id. Without this setting, profiles are only put.";
    PROFILE_LOADER_SECRET = "SGW_PROFILE_LOADER_SECRET", None, "",
        "What requests to it are signed with, so that it knows who asks. 32 characters or more, as `openssl rand -hex 32` makes them.";
    PROFILE_LOADER_SECRET_FILE = "SGW_PROFILE_LOADER_SECRET_FILE", None, "/run/secrets/sgw-loader",
        "A file that holds it, instead.";
    PROFILE_LOADER_CA_FILE = "SGW_PROFILE_LOADER_CA_FILE", None, "/etc/ssl/users-ca.pem",
        "The certificates (PEM) that it must be signed by, instead of those the machine trusts.";
    PROFILE_LOADER_TIMEOUT = "SGW_PROFILE_LOADER_TIMEOUT", Some("2s"), "",
        "How long its whole answer may take, from 100ms to 10s.";
    PROFILE_TTL = "SGW_PROFILE_TTL", Some("5m"), "",
        "How long a profile that was loaded is fresh.";
    PROFILE_STALE_FOR = "SGW_PROFILE_STALE_FOR", Some("24h"), "",
        "How long a profile is kept after that, to be served as stale while it cannot be loaded; 0s serves none.";
    LOG = "SGW_LOG", Some("info"), "",
        "What is logged on stderr: error, warn, info, debug, trace, also by part: info,session_gateway=debug.";
    LOG_FORMAT = "SGW_LOG_FORMAT", Some("text"), "",
        "The form of the log: text or json.";
}

/// The text of `.env.example`.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# Every setting with its default. Copy this file to .env and uncomment what you change; the environment wins.\n\
         # Durations are like 500ms, 90s, 30m, 24h, 7d; a bare number is seconds. A value with a $ needs single quotes.\n\
         # A variable that starts with SGW_ and is not listed here stops the start. In Kubernetes set\n\
         # `enableServiceLinks: false`, or a service named sgw would add such variables.\n",
    );
    for variable in VARIABLES {
        let value = variable.default.unwrap_or(variable.sample);
        let entry = format!("\n# {}\n#{}={value}\n", variable.about, variable.name);
        text.push_str(&entry);
    }
    text
}
