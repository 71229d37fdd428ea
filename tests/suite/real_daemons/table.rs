//! The daemons, a row each: how they are started, and how one sees that they serve.
//!
//! `tests/README.md` shows the rows to people who want to run these daemons; a test compares them. In all
//! texts `DIR` is the daemon's folder, and `IP` and `PORT` an address of its own.

use std::ffi::CStr;

/// A daemon.
pub struct Row {
    pub program: &'static str,
    /// The Debian package.
    pub package: &'static str,
    /// What follows `rawdaemon -p FILE`.
    pub line: &'static str,
    /// The user for root to run it as, with `-u`.
    pub user: &'static str,
    /// Whether only root can run it.
    pub needs_root: bool,
    /// Folders that are empty for the daemon, if root runs it, and those that are made in them.
    pub hidden: &'static [(&'static CStr, Option<&'static str>)],
    /// Whether it sees no network, if root runs it.
    pub has_no_network: bool,
    /// A file of the machine that is another one for the daemon.
    pub replaced: Option<(&'static str, &'static CStr)>,
    /// Files in `DIR`, with their texts.
    pub files: &'static [(&'static str, &'static str)],
    /// What a shell does beforehand, as the daemon's user.
    pub prepare: &'static str,
    pub ask: Ask,
    /// What it does with a SIGHUP: in words, and how one sees that.
    pub hangup: (&'static str, Hangup),
    /// How it is stopped.
    pub stop: &'static [&'static str],
    /// Whether its children live on if it is killed, so that its process group must be killed.
    pub leaves_children: bool,
}

/// How a daemon shows that it serves.
pub enum Ask {
    /// Connects, sends the one, and waits for an answer that contains the other.
    Tcp(&'static [u8], &'static [u8]),
    /// As `Tcp`, to a socket in `DIR`, or one that only the daemon sees at that path.
    Unix(&'static str, &'static [u8], &'static [u8]),
    Udp(&'static [u8], &'static [u8]),
    /// Sends it, and waits until it is in this file.
    Written(&'static [u8], &'static str),
    /// The daemon makes this file when it starts.
    Makes(&'static str),
}

/// How one sees what a SIGHUP did.
pub enum Hangup {
    /// In this file of `DIR` one text is replaced by another, and the answer contains something else afterwards.
    Reloads(&'static str, [&'static str; 2], &'static [u8]),
    /// A line with this text is in the log afterwards.
    Logs(&'static str),
    /// The file of [`Ask::Written`] is made again.
    Reopens,
    /// The daemon goes on, and shows nothing.
    Nothing,
    Ends,
}

/// What most rows have.
const OTHERS: Row = Row {
    program: "",
    package: "",
    line: "",
    user: "",
    needs_root: false,
    hidden: &[],
    has_no_network: false,
    replaced: None,
    files: &[],
    prepare: "",
    ask: Ask::Tcp(b"GET /index.html HTTP/1.0\r\n\r\n", b"\r\n\r\nserved"),
    hangup: ("ends it", Hangup::Ends),
    stop: &[],
    leaves_children: false,
};

const RELOADED: &[u8] = b"\r\n\r\nreloaded";
const RELOADS: &str = "reads its configuration again";

pub const REDIS: Row = Row {
    program: "redis-server",
    package: "redis-server",
    line: "-c DIR -R notify redis-server --port 0 --unixsocket DIR/socket --supervised systemd",
    ask: Ask::Unix("socket", b"PING\r\n", b"+PONG\r\n"),
    hangup: ("ignored", Hangup::Nothing),
    ..OTHERS
};

pub const POSTGRES: Row = Row {
    program: "postgres",
    package: "postgresql",
    line: "-R notify postgres -D DIR/data -k DIR -h IP -p PORT",
    user: "postgres",
    prepare: "initdb -D data -A trust --no-sync --no-instructions >/dev/null",
    // The request for TLS, which it has not got.
    ask: Ask::Tcp(b"\0\0\0\x08\x04\xd2\x16\x2f", b"N"),
    hangup: (RELOADS, Hangup::Logs("received SIGHUP, reloading")),
    // SIGTERM waits until all clients have gone.
    stop: &["--signal", "INT"],
    ..OTHERS
};

pub const HAPROXY: Row = Row {
    program: "haproxy",
    package: "haproxy",
    line: "-R notify haproxy -Ws -f DIR/haproxy.cfg",
    files: &[(
        "haproxy.cfg",
        "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n\
        frontend web\n bind IP:PORT\n http-request return content-type text/plain string served\n",
    )],
    hangup: (
        RELOADS,
        Hangup::Reloads("haproxy.cfg", ["served", "reloaded"], RELOADED),
    ),
    ..OTHERS
};

pub const SSHD: Row = Row {
    program: "sshd",
    package: "openssh-server",
    line: "-R notify /usr/sbin/sshd -D -e -f DIR/sshd_config",
    hidden: &[(c"/run", Some("/run/sshd"))],
    files: &[(
        "sshd_config",
        "ListenAddress IP:PORT\nHostKey DIR/key\nPidFile none\n",
    )],
    prepare: "ssh-keygen -q -t ed25519 -N '' -f key",
    ask: Ask::Tcp(b"", b"SSH-2.0-OpenSSH"),
    hangup: (
        "executes itself again",
        Hangup::Reloads(
            "sshd_config",
            ["none\n", "none\nVersionAddendum reloaded\n"],
            b"reloaded\r\n",
        ),
    ),
    ..OTHERS
};

pub const NGINX: Row = Row {
    program: "nginx",
    package: "nginx-light",
    line: "nginx -p DIR/ -e stderr -c DIR/nginx.conf -g 'daemon off;'",
    files: &[(
        "nginx.conf",
        "pid nginx.pid; events {} http { access_log off; client_body_temp_path t1; proxy_temp_path t2;
        fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
        server { listen IP:PORT; return 200 served; } }",
    )],
    hangup: (
        RELOADS,
        Hangup::Reloads("nginx.conf", ["served", "reloaded"], RELOADED),
    ),
    leaves_children: true,
    ..OTHERS
};

pub const MEMCACHED: Row = Row {
    program: "memcached",
    package: "memcached",
    line: "memcached -u nobody -l IP -p PORT -U 0",
    ask: Ask::Tcp(b"version\r\n", b"VERSION "),
    hangup: ("reads its passwords again", Hangup::Nothing),
    ..OTHERS
};

pub const MOSQUITTO: Row = Row {
    program: "mosquitto",
    package: "mosquitto",
    line: "-R notify mosquitto -c DIR/mosquitto.conf",
    files: &[(
        "mosquitto.conf",
        "listener PORT IP\nuser nobody\nallow_anonymous true\n",
    )],
    // CONNECT for MQTT 3.1.1 without a name, and the answers 0 and 5, not authorized.
    ask: Ask::Tcp(b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0", b"\x20\x02\0\0"),
    hangup: (
        RELOADS,
        Hangup::Reloads("mosquitto.conf", ["true", "false"], b"\x20\x02\0\x05"),
    ),
    ..OTHERS
};

pub const LIGHTTPD: Row = Row {
    program: "lighttpd",
    package: "lighttpd",
    line: "lighttpd -D -f DIR/lighttpd.conf",
    files: &[
        ("index.html", "served"),
        (
            "lighttpd.conf",
            "server.bind = \"IP\"\nserver.port = PORT\nserver.document-root = \"DIR\"\n\
            server.upload-dirs = ( \"DIR\" )\n",
        ),
    ],
    hangup: ("opens its logs again", Hangup::Logs("cycled")),
    ..OTHERS
};

pub const DROPBEAR: Row = Row {
    program: "dropbear",
    package: "dropbear-bin",
    line: "dropbear -F -E -P '' -r DIR/key -p IP:PORT",
    prepare: "dropbearkey -t ed25519 -f key >/dev/null 2>&1",
    ask: Ask::Tcp(b"", b"SSH-2.0-dropbear"),
    ..OTHERS
};

pub const CRON: Row = Row {
    program: "cron",
    package: "cron",
    line: "cron -f",
    needs_root: true,
    // It runs no job of the machine.
    hidden: &[
        (c"/run", None),
        (c"/etc/cron.d", None),
        (c"/var/spool/cron", Some("/var/spool/cron/crontabs")),
    ],
    replaced: Some(("crontab", c"/etc/crontab")),
    files: &[("crontab", "@reboot root touch DIR/ran\n")],
    ask: Ask::Makes("ran"),
    hangup: ("opens its log again", Hangup::Nothing),
    ..OTHERS
};

pub const RSYSLOGD: Row = Row {
    program: "rsyslogd",
    package: "rsyslog",
    line: "-R notify rsyslogd -n -i NONE -f DIR/rsyslog.conf",
    files: &[(
        "rsyslog.conf",
        "global(workDirectory=\"DIR\")\nmodule(load=\"imudp\")\n\
        input(type=\"imudp\" address=\"IP\" port=\"PORT\")\naction(type=\"omfile\" file=\"DIR/messages\")\n",
    )],
    ask: Ask::Written(b"<13>served", "messages"),
    hangup: ("opens its logs again", Hangup::Reopens),
    ..OTHERS
};

pub const DBUS: Row = Row {
    program: "dbus-daemon",
    package: "dbus-daemon",
    line: "-R notify dbus-daemon --nofork --nopidfile --nosyslog --config-file=DIR/bus.conf",
    files: &[(
        "bus.conf",
        "<busconfig><listen>unix:path=DIR/bus</listen><policy context=\"default\"/></busconfig>",
    )],
    ask: Ask::Unix("bus", b"\0AUTH\r\n", b"REJECTED "),
    hangup: (RELOADS, Hangup::Logs("Reloaded configuration")),
    ..OTHERS
};

pub const DNSMASQ: Row = Row {
    program: "dnsmasq",
    package: "dnsmasq-base",
    line: "dnsmasq -k -C /dev/null -x '' -p PORT -a IP -z -R -h -H DIR/hosts",
    files: &[("hosts", "192.0.2.7 one.test\n")],
    // Asks for the address of one.test.
    ask: Ask::Udp(
        b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03one\x04test\0\0\x01\0\x01",
        b"\0\x04\xc0\0\x02\x07",
    ),
    hangup: (
        "reads its files of hosts again",
        Hangup::Reloads("hosts", ["192.0.2.7", "192.0.2.8"], b"\0\x04\xc0\0\x02\x08"),
    ),
    ..OTHERS
};

pub const AVAHI: Row = Row {
    program: "avahi-daemon",
    package: "avahi-daemon",
    line: "avahi-daemon -f DIR/avahi.conf --no-rlimits --no-drop-root --no-chroot",
    needs_root: true,
    hidden: &[(c"/run", Some("/run/avahi-daemon"))],
    // It listens on port 5353 of all interfaces.
    has_no_network: true,
    files: &[(
        "avahi.conf",
        "[server]\nenable-dbus=no\nallow-interfaces=lo\n[publish]\ndisable-publishing=yes\n",
    )],
    ask: Ask::Unix(
        "/run/avahi-daemon/socket",
        b"HELP\n",
        b"+ Available commands",
    ),
    hangup: (
        "reads its services again",
        Hangup::Logs("Got SIGHUP, reloading"),
    ),
    ..OTHERS
};

pub const CHRONYD: Row = Row {
    program: "chronyd",
    package: "chrony",
    line: "chronyd -d -x -U -u root -f DIR/chrony.conf",
    files: &[(
        "chrony.conf",
        "local stratum 10\nallow\nbindaddress IP\nport PORT\ncmdport 0\nbindcmdaddress /\n\
        pidfile DIR/chronyd.pid\n",
    )],
    // A client's request of NTP 4; a server of stratum 10 answers.
    ask: Ask::Udp(
        b"\x23\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
        b"\x24\x0a",
    ),
    ..OTHERS
};

pub const PYTHON: Row = Row {
    program: "python3",
    package: "python3",
    line: "python3 -m http.server --bind IP --directory DIR PORT",
    files: &[("index.html", "served")],
    ..OTHERS
};

pub const NODE: Row = Row {
    program: "node",
    package: "nodejs",
    line: "node DIR/server.js",
    files: &[(
        "server.js",
        "require('http').createServer((request, answer) => answer.end('served')).listen(PORT, 'IP')\n",
    )],
    ..OTHERS
};

pub const JAVA: Row = Row {
    program: "java",
    package: "default-jdk-headless",
    line: "java -XX:-UsePerfData -cp DIR Server",
    files: &[(
        "Server.java",
        "import com.sun.net.httpserver.*;
        class Server {
            public static void main(String[] arguments) throws Exception {
                var address = new java.net.InetSocketAddress(\"IP\", PORT);
                var server = HttpServer.create(address, 0);
                server.createContext(\"/\", exchange -> {
                    exchange.sendResponseHeaders(200, 6);
                    exchange.getResponseBody().write(\"served\".getBytes());
                    exchange.close();
                });
                server.start();
            }
        }\n",
    )],
    prepare: "javac -J-XX:-UsePerfData Server.java",
    ..OTHERS
};

impl Row {
    /// The beginning of the row in `tests/README.md`.
    pub fn documented(&self) -> String {
        let user = match self.user {
            "" => String::new(),
            user => format!("-u {user} "),
        };
        let (program, package, line, hangup) =
            (self.program, self.package, self.line, self.hangup.0);
        format!("| `{program}` | {package} | `{user}{line}` | {hangup} |")
    }
}
