//! A wall clock that jumps: hours ahead, days back. Nothing that is waited for may notice.
//!
//! The process is real, so its clock is moved from outside: a small library between it and the C library adds an offset,
//! which the test keeps in a shared file, to the wall clock and to nothing else.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::{TestGateway, config, user_says};
use crate::support::model::ModelDouble;
use crate::support::ws::WsClient;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long *offset;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void open_offset(void) {
    real = dlsym(RTLD_NEXT, "clock_gettime");
    int file = open(getenv("TEST_CLOCK_OFFSET"), O_RDONLY);
    void *map = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) abort();
    offset = map;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (result == 0 && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (out) *out = precise.tv_sec;
    return precise.tv_sec;
}
"#;

/// The wall clock of one gateway.
struct WallClock(PathBuf);

impl WallClock {
    /// Builds the library. `None`, with the reason on stderr, without a C compiler.
    fn of(gateway: &mut TestGateway) -> Option<Self> {
        let dir = gateway.dir.path().to_owned();
        let (source, library, offset) = (dir.join("clock.c"), dir.join("clock.so"), dir.join("offset"));
        fs::write(&source, SHIM).unwrap();
        fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output();
        match built {
            Err(error) => {
                eprintln!("skipped, there is no C compiler: {error}");
                return None;
            }
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        }
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        gateway.env.push(("LD_PRELOAD".to_owned(), text(&library)));
        gateway.env.push(("TEST_CLOCK_OFFSET".to_owned(), text(&offset)));
        Some(Self(offset))
    }

    /// Moves the clock to this many hours from the true time.
    fn set(&self, hours: i64) {
        // In place: the process has the file mapped.
        let mut file = fs::File::options().write(true).open(&self.0).unwrap();
        file.write_all(&(hours * 3600).to_ne_bytes()).unwrap();
    }
}

async fn say(client: &mut WsClient, key: &str, text: &str) -> Value {
    let send = json!({"sessionKey": key, "message": format!("{text} [[say:re {text}]]"), "idempotencyKey": text});
    assert_eq!(client.ok("chat.send", send).await["status"], "started");
    let end = client.chat_end(text).await;
    assert_eq!(end["state"], "final", "{end}");
    end
}

async fn texts(client: &mut WsClient, key: &str) -> Vec<String> {
    let history = client
        .ok("chat.history", json!({"sessionKey": key, "limit": 100}))
        .await;
    let messages = history["messages"].as_array().unwrap();
    let users = messages.iter().filter(|message| message["role"] == "user");
    users
        .map(|message| {
            let text = message["content"].to_string();
            text.split(" [[").next().unwrap().rsplit('"').next().unwrap().to_owned()
        })
        .collect()
}

/// The gateway's own idea of the time, ms.
async fn shown(client: &mut WsClient) -> i64 {
    client.ok("channels.status", json!({})).await["ts"].as_i64().unwrap()
}

#[tokio::test]
async fn a_wall_clock_that_jumps_disturbs_neither_connections_nor_order_nor_shutdown() {
    let model = ModelDouble::start().await;
    let mut gateway = TestGateway::prepare(&config(&model.base_url()));
    let Some(clock) = WallClock::of(&mut gateway) else {
        return;
    };
    gateway.spawn();
    gateway.wait_ready().await;
    let mut client = gateway.operator().await;
    say(&mut client, "agent:main:a", "one").await;
    say(&mut client, "agent:main:b", "two").await;
    let begin = shown(&mut client).await;
    let mut body = user_says("[[slow:150]]");
    body["stream"] = json!(true);
    let stream = gateway.post_chat(&body).await;

    for (hours, text) in [(9, "three"), (-120, "four"), (20_000, "five"), (0, "six")] {
        clock.set(hours);
        let moved = shown(&mut client).await - begin - hours * 3_600_000;
        assert!((0..120_000).contains(&moved), "the clock did not move: {moved} ms off");
        say(&mut client, "agent:main:a", text).await;
        for path in ["/healthz", "/readyz"] {
            let answer = reqwest::get(gateway.url(path)).await.unwrap();
            assert_eq!(answer.status(), 200, "{path} at {hours} h");
        }
        assert_eq!(gateway.chat(&user_says("hi [[say:ok]]")).await.0, 200);
        let again = json!({"sessionKey": "agent:main:a", "message": "one", "idempotencyKey": "one"});
        assert_eq!(
            client.ok("chat.send", again).await["status"],
            "ok",
            "a known key ran again at {hours} h"
        );
    }
    let text = stream.text().await.unwrap();
    assert!(text.contains("piece5") && text.contains("[DONE]"), "{text}");
    client.drain(Duration::from_millis(100)).await;
    let ticks = client.frames.iter().filter(|frame| frame["event"] == "tick").count();
    assert!(ticks <= 1, "ticks follow the wall clock: {ticks}");

    let expected = ["one", "three", "four", "five", "six"];
    assert_eq!(texts(&mut client, "agent:main:a").await, expected);
    clock.set(-120);
    gateway.crash_and_restart().await;
    let mut client = gateway.operator().await;
    assert_eq!(texts(&mut client, "agent:main:a").await, expected);
    let listed = client.ok("sessions.list", json!({})).await;
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 2, "{listed}");
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
}
