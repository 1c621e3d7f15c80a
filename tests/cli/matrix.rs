//! `evidenced matrix`: out to a spreadsheet, edited, and back, with nothing lost on the way.

use crate::workplace::Workplace;

const CONTROLS: &str = r#"
# A comment that stays.
[[control]]
id = "access-review"
statement = "Access is reviewed."
owner = "@security"
criteria = ["CC6.2"]
manual = { every = "quarterly", grace = "14d" }
"#;

fn place() -> Workplace {
    let place = Workplace::new();
    place.write("controls.toml", CONTROLS);
    let configuration = include_str!("../../config.example.toml");
    place.write(
        "evidenced.toml",
        &configuration.replace(
            "# control_files = [\"controls.toml\"]",
            "control_files = [\"controls.toml\"]",
        ),
    );
    place
}

fn read(place: &Workplace, name: &str) -> String {
    std::fs::read_to_string(place.path("work").join(name)).unwrap()
}

#[test]
fn a_matrix_goes_out_is_edited_and_comes_back_as_a_control_file() {
    let place = place();
    let ran = place.run(&["matrix", "-o", "controls.csv"]).ends(0);
    assert!(
        ran.out.starts_with("Written: 7 controls to controls.csv;"),
        "{}",
        ran.out
    );
    let csv = read(&place, "controls.csv");
    let row = "\"access-review\",\"Access is reviewed.\",\"'@security\",\"\",\"manual\",\"CC6.2\",\"\",\"quarterly\",\"\",\
               \"14d\",\"\",\"yes\",\"\"\r\n";
    assert!(csv.starts_with("\u{feff}\"control\",\"statement\","), "{csv}");
    assert!(csv.contains(row), "{csv}");

    // As a spreadsheet elsewhere saves it, with a control more and another owner.
    let edited = csv.replace("\"'@security\"", "\"Zoë\"").replace("\",\"", "\";\"");
    let new =
        "vendor-reviewed;A vendor's report is read.;Zoë;yearly;manual;CC9.2, CC3.2;;yearly;;;400d;yes;\r\n";
    place.write("edited.csv", &format!("{edited}{new}"));
    let ran = place
        .run(&["matrix", "--from", "edited.csv", "-o", "matrix.toml"])
        .ends(0);
    assert_eq!(
        ran.out,
        "Written: matrix.toml\nchanged  access-review\nnew      vendor-reviewed\n\
         Name matrix.toml last in control_files, and `evidenced check` tries it.\n"
    );
    let written = read(&place, "matrix.toml");
    assert!(
        written.contains("\n[[control]]\nid = \"access-review\"\nowner = \"Zoë\"\n\n"),
        "{written}"
    );
    assert!(
        written.contains("manual = { every = \"yearly\", max_age = \"400d\" }\n"),
        "{written}"
    );
    assert_eq!(read(&place, "controls.toml"), CONTROLS);

    let configuration = read(&place, "evidenced.toml");
    let both = configuration.replace("[\"controls.toml\"]", "[\"controls.toml\", \"matrix.toml\"]");
    place.write("evidenced.toml", &both);
    // Written again, it says the same: it is not compared with itself.
    place
        .run(&["matrix", "--from", "edited.csv", "-o", "matrix.toml"])
        .ends(0);
    assert_eq!(read(&place, "matrix.toml"), written);
    let json = place.run(&["matrix", "--format", "json"]).ends(0).json();
    let controls = json["controls"].as_array().unwrap();
    assert_eq!(controls.len(), 8);
    assert_eq!(controls[7]["nature"], "manual");
    assert_eq!(controls[6]["owner"], "Zoë");
}

#[test]
fn what_would_be_lost_is_refused() {
    let place = place();
    place.write("m.csv", "control,owner,remarks\naccess-review,Zoë,ask Bob\n");
    let ran = place.run(&["matrix", "--from", "m.csv"]).ends(2);
    let wrong = "m.csv is not taken:\n  line 1, column remarks: there is no such column; nothing would keep it: remove it\n";
    assert!(ran.err.contains(wrong), "{}", ran.err);
    place.write("m.csv", "control,owner\naccess-review,Zoë\n");
    let ran = place
        .run(&["matrix", "--from", "m.csv", "-o", "controls.toml"])
        .ends(2);
    assert!(ran.err.contains("controls.toml is there already"), "{}", ran.err);
    assert_eq!(read(&place, "controls.toml"), CONTROLS);
    std::fs::write(
        place.path("work").join("m.csv"),
        b"control,owner\naccess-review,Zo\xeb\n",
    )
    .unwrap();
    let ran = place.run(&["matrix", "--from", "m.csv"]).ends(2);
    assert!(
        ran.err
            .contains("m.csv: line 2 is not UTF-8\n  help: save it as \"CSV UTF-8\""),
        "{}",
        ran.err
    );
    place.write("m.csv", "control,owner\naccess-review\n");
    let ran = place.run(&["matrix", "--from", "m.csv"]).ends(2);
    assert!(
        ran.err
            .contains("line 2 has 1 cells, and the first line names 2 columns"),
        "{}",
        ran.err
    );
}
