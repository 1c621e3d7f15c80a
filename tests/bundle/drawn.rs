//! Populations and draws in a bundle: as the log has them, and withheld where they are out of scope.

use crate::exported::{PERIOD, export, files, log, verify_py};
use crate::workplace::Workplace;

#[tokio::test]
async fn a_population_and_its_draws_are_in_the_bundle_only_where_they_are_in_scope() {
    let place = Workplace::new();
    drop(log(&place).await);
    let draw = ["sample", "fake.thing", "--seed", "7", "--size", "2"];
    place.run(&[&draw[..], &PERIOD].concat()).ends(0);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (control, is_in) in [("safe-things", true), ("by-hand", false)] {
        let name = format!("{control}/");
        let folder = export(&place, &name, &["--control", control]);
        let files = files(&folder);
        for file in ["populations/fake.thing.csv", "populations/fake.thing.json"] {
            assert_eq!(files.contains_key(file), is_in, "{control}: {file}");
        }
        let withheld = text(&files["withheld.csv"]);
        for role in [",population,", ",sample,"] {
            assert_eq!(withheld.contains(role), !is_in, "{control}: {withheld}");
        }
        let samples = text(&files["csv/samples.csv"]);
        let rows: Vec<&str> = samples.lines().skip(1).collect();
        let told = if is_in { "\"listed\"" } else { "\"withheld\"" };
        assert!(
            rows.len() == 2 && rows.iter().all(|row| row.contains(told)),
            "{samples}"
        );
        place.run(&["verify", &name]).ends(0);
        place.run(&["reperform", &name]).ends(0);
        let (status, said) = verify_py(&[folder.join("verify.py").to_str().unwrap()]);
        assert_eq!(status, 0, "{said}");
    }
}
