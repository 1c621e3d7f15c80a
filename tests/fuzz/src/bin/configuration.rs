//! Any bytes as a configuration and as a control file: read, or refused with a place in the text.

#![cfg_attr(fuzzing, no_main)]

use evidenced::config::Config;
use evidenced::control::Rules;
use std::path::Path;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    match Config::parse(data, Some(Path::new("a.toml"))) {
        Ok(config) => assert!(!config.sources.is_empty(), "silence is never compliance"),
        Err(error) => assert!(!error.problems().is_empty()),
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Rules::default().with(text) {
        // What was read is sealed as JSON, and judged from that.
        Ok(rules) => {
            let sealed = serde_json::to_vec(&rules).expect("rules become JSON");
            assert_eq!(
                serde_json::from_slice::<Rules>(&sealed).expect("and are read again"),
                rules
            );
        }
        Err(problems) => {
            for problem in problems {
                assert!(
                    problem.span.is_none_or(|span| text.get(span).is_some()),
                    "a place that is none"
                );
            }
        }
    }
}
