//! A route that lets everything through.

use evidenced::config::{Config, Route};

/// All alerts, to one channel.
pub(crate) fn everything(channel: &str) -> Route {
    let text = format!(
        "[[source]]\nname = \"s\"\ntype = \"host\"\n[source.collectors.\"host.baseline\"]\nschedule = \"@hourly\"\n\
         [[channel]]\nname = {channel:?}\ntype = \"webhook\"\n\
         [[route]]\nchannels = [{channel:?}]\nseverity = \"low\"\n"
    );
    let config = Config::parse(text.as_bytes(), None).unwrap();
    config.routes.into_iter().next().unwrap()
}
