//! The documents held against others' programs: OSCAL by compliance-trestle, HTML by Python's own parser.

use crate::{all, file, python};
use evidenced::summary::PeriodResult;
use std::io::Write as _;
use std::process::Stdio;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Says what the parser finds open at the end, or closed that was not.
const WELL_FORMED: &str = "
import sys
from html.parser import HTMLParser
EMPTY = {'meta', 'br', 'link', 'img', 'input', 'hr'}
class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], [], []
    def handle_starttag(self, tag, attributes):
        if tag not in EMPTY: self.open.append(tag)
        for name, value in attributes:
            if name == 'id': self.ids.append(value)
            if name == 'href': self.links.append(value)
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: sys.exit(f'</{tag}> at {self.getpos()}')
page = Page()
page.feed(sys.stdin.buffer.read().decode('utf-8', 'strict'))
page.close()
if page.open: sys.exit(f'open: {page.open}')
if len(set(page.ids)) != len(page.ids): sys.exit('an id twice')
for link in page.links:
    if link[:1] != '#' or link[1:] not in page.ids: sys.exit(f'{link} leads nowhere')
";

/// Reads the document as trestle does, and has its validators look for ids that are there twice or lead nowhere.
const VALID: &str = "
import sys
from trestle.oscal.assessment_results import Model
from trestle.core.duplicates_validator import DuplicatesValidator
from trestle.core.links_validator import LinksValidator
from trestle.core.refs_validator import RefsValidator
results = Model.model_validate_json(sys.stdin.buffer.read()).assessment_results
for validator in [DuplicatesValidator(), LinksValidator(), RefsValidator()]:
    if not validator.model_is_valid(results, False): sys.exit(validator.error_msg())
";

fn fed(python: impl AsRef<std::ffi::OsStr>, script: &str, text: &str) -> String {
    let mut process = python::run(python, script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_is_well_formed_and_every_link_in_it_leads_somewhere() {
    for (name, summary) in all() {
        let said = fed("python3", WELL_FORMED, &file(&summary, "report.html"));
        assert_eq!(said, "", "{name}");
    }
}

#[test]
fn oscal_is_what_compliance_trestle_takes_and_a_control_is_satisfied_only_where_evidence_speaks_for_all_of_the_time()
 {
    let trestle = python::installed("compliance-trestle", REQUIREMENTS);
    for (name, summary) in all() {
        let text = file(&summary, "oscal/assessment-results.json");
        let said = fed(&trestle, VALID, &text);
        assert_eq!(said, "", "{name}");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let findings = document["assessment-results"]["results"][0]["findings"].as_array();
        let findings = findings.cloned().unwrap_or_default();
        assert_eq!(findings.len(), summary.controls.len());
        for (finding, control) in findings.iter().zip(&summary.controls) {
            let is_whole = control.result == PeriodResult::NoDeviations;
            let state = if is_whole { "satisfied" } else { "not-satisfied" };
            assert_eq!(finding["target"]["status"]["state"], state, "{}", control.control);
        }
    }
}
