//! CEL with three values: what is unknown stays so in every expression.

use super::*;
use proptest::strategy::Strategy;
use serde_json::json;
use std::collections::BTreeMap;

/// What an expression says of `x = true`, `y = false`, `n = 3`, a list, a map; `u` is unknown.
fn says(source: &str) -> Truth {
    let attributes = json!({
        "x": true, "y": false, "n": 3, "s": "three", "nothing": null, "since": "2025-12-31T00:00:00Z",
        "list": [1, 2], "map": {"k": 1, "j": 2}, "people": [{"name": "a", "admin": true}, {"name": "b"}],
        "big": 9_007_199_254_740_991_i64,
    });
    let attributes: BTreeMap<&str, &Value> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let parameters = BTreeMap::from([
        ("allowed".to_owned(), json!(["three"])),
        ("hours".to_owned(), json!(25)),
    ]);
    let scene = Scene {
        attributes: &attributes,
        parameters: &parameters,
        now: crate::control::Example::NOW,
    };
    let expression = Expression::compile(source, &["allowed", "hours"]).unwrap();
    let machine = Machine::new(&Arc::new(Env::stdlib()));
    let terms: Vec<Truth> = expression
        .clauses
        .iter()
        .map(|clause| machine.evaluate(clause, &scene))
        .collect();
    if terms.contains(&Truth::False) {
        return Truth::False;
    }
    let unknown = terms.into_iter().find(|term| matches!(term, Truth::Unknown(_)));
    unknown.unwrap_or(Truth::True)
}

fn faults(source: &str) -> Vec<Fault> {
    Expression::compile(source, &["allowed"]).map(|_| ()).unwrap_err()
}

const T: &str = "resource.x";
const F: &str = "resource.y";
const U: &str = "resource.u";

fn three(truth: &Truth) -> &'static str {
    match truth {
        Truth::True => T,
        Truth::False => F,
        Truth::Unknown(_) => U,
    }
}

#[test]
fn and_or_and_the_conditional_follow_kleene_in_both_orders() {
    let and = |a, b| {
        if a == F || b == F {
            F
        } else if a == U || b == U {
            U
        } else {
            T
        }
    };
    let or = |a, b| {
        if a == T || b == T {
            T
        } else if a == U || b == U {
            U
        } else {
            F
        }
    };
    for a in [T, F, U] {
        for b in [T, F, U] {
            // As a whole, where the conjunction is ours, and inside, where it is the interpreter's.
            assert_eq!(three(&says(&format!("{a} && {b}"))), and(a, b), "{a} && {b}");
            assert_eq!(
                three(&says(&format!("!!({a} && {b})"))),
                and(a, b),
                "!!({a} && {b})"
            );
            assert_eq!(three(&says(&format!("{a} || {b}"))), or(a, b), "{a} || {b}");
            assert_eq!(three(&says(&format!("{U} ? {a} : {b}"))), U);
            assert_eq!(three(&says(&format!("{T} ? {a} : {b}"))), a);
            assert_eq!(three(&says(&format!("{F} ? {a} : {b}"))), b);
            for c in [T, F, U] {
                assert_eq!(three(&says(&format!("!!({a} && {b} && {c})"))), and(and(a, b), c));
                assert_eq!(three(&says(&format!("{a} || {b} || {c}"))), or(or(a, b), c));
            }
        }
        let not = if a == U {
            U
        } else if a == T {
            F
        } else {
            T
        };
        assert_eq!(three(&says(&format!("!{a}"))), not);
    }
}

#[test]
fn all_and_exists_follow_kleene_whatever_the_order() {
    for (list, all, exists) in [
        ("[1, 2]", F, T),
        ("[1, 0]", U, T),
        ("[0, 1]", U, T),
        ("[2, 0]", F, U),
        ("[0, 2]", F, U),
        ("[0, 1, 2]", F, T),
        ("[0]", U, U),
        ("[]", T, F),
    ] {
        // 0 is unknown, 1 true, 2 false.
        let term = format!("(i == 0 ? {U} : i == 1)");
        assert_eq!(three(&says(&format!("{list}.all(i, {term})"))), all, "{list} all");
        assert_eq!(
            three(&says(&format!("{list}.exists(i, {term})"))),
            exists,
            "{list} exists"
        );
    }
}

#[test]
fn touching_an_absent_attribute_is_unknown_whatever_touches_it() {
    for source in [
        "has(resource.u)",
        "!has(resource.u)",
        "has(resource.u.v)",
        "resource[\"u\"]",
        "resource['u'] == 1",
        "resource.u == null",
        "resource.u != null",
        "resource.u == resource.u",
        "size(resource.u) == 0",
        "'k' in resource.u",
        "!('k' in resource.u)",
        "resource.u in [1]",
        "[resource.u] == []",
        "{'k': resource.u} == {}",
        "resource.u.all(i, true)",
        "resource.u.exists(i, true)",
        "resource.u.map(i, i) == []",
        "[1].map(i, resource.u) == []",
        "[1].filter(i, resource.u) == []",
        "[1].exists_one(i, resource.u)",
        "resource.people.all(p, p.admin)",
        "!resource.people.all(p, p.admin)",
        "resource.people.exists(p, !has(p.admin))",
        "resource.people.exists_one(p, p.admin)",
        "resource.people.filter(p, p.admin).size() == 1",
        "has(resource.map.absent)",
        "resource.map.absent == 1",
        "resource.map['absent'] == 1",
        "timestamp(resource.u) < now",
        "resource.u.matches('a')",
        "string(resource.u) == ''",
    ] {
        assert!(
            matches!(says(source), Truth::Unknown(_)),
            "{source} gives {:?}",
            says(source)
        );
    }
}

#[test]
fn an_absent_attribute_needs_no_reason_of_its_own() {
    assert_eq!(says("resource.u"), Truth::Unknown(None));
    assert_eq!(says("has(resource.u)"), Truth::Unknown(None));
    assert_eq!(
        says("resource.map.absent == 1"),
        Truth::Unknown(Some("no key \"absent\"".to_owned()))
    );
}

#[test]
fn a_known_attribute_is_known_in_full() {
    for source in [
        "has(resource.x)",
        "has(resource.y)",
        "has(resource.nothing)",
        "resource.nothing == null",
        "'k' in resource.map",
        "!('absent' in resource.map)",
        "resource.map == {'j': 2, 'k': 1}",
        "resource.map.map(k, k) == ['j', 'k']",
        "resource.people.exists(p, p.admin)",
        "has(resource.map.k)",
        "resource.s in parameters.allowed",
        "now - timestamp(resource.since) < duration(string(parameters.hours) + 'h')",
        "resource.big + 1 == 9007199254740992",
        "resource.list.all(i, i > 0) && resource.list.size() == 2",
    ] {
        assert_eq!(says(source), Truth::True, "{source}");
    }
}

#[test]
fn every_other_error_is_unknown_with_a_reason_that_says_so() {
    for (source, reason) in [
        ("resource.n == '3'", "'==' applied to '(int, string)'"),
        ("resource.n != '3'", "'==' applied to '(int, string)'"),
        ("!('3' in [resource.n])", "'==' applied to '(string, int)'"),
        ("resource.n / 0 == 1", "division by zero"),
        ("resource.n + 9223372036854775807 == 1", "overflow"),
        ("resource.s.matches('(')", "matches() refuses its argument"),
        ("timestamp(resource.s) < now", "timestamp() refuses its argument"),
        ("resource.s < 3", "applied to '(string, int)'"),
        ("resource.list[7] == 1", "out of bounds"),
        ("resource.n", "gives int, not true or false"),
        ("resource.s", "gives string, not true or false"),
        ("resource.n ? true : true", "int where bool is expected"),
        ("resource.n.all(i, true)", "int where list or map is expected"),
        (
            "duration('9999999999999h') > duration('1h')",
            "duration() refuses its argument",
        ),
    ] {
        match says(source) {
            Truth::Unknown(Some(found)) if found.contains(reason) => {}
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn what_could_turn_unknown_into_an_answer_is_refused() {
    for source in [
        "resource == {}",
        "has(resource['u'])",
        "resource != {'x': 1}",
        "'x' in resource",
        "size(resource) == 0",
        "resource.size() == 0",
        "resource.all(a, true)",
        "[resource].exists(r, has(r.x))",
        "[resource].map(r, 'x' in r)",
        "resource[parameters.allowed[0]]",
        "resource.?x",
        "resource[?'x']",
        "optional.of(1).hasValue()",
        "type(resource.x) == bool",
        "dyn(resource.x)",
        "[1].all(resource, true)",
        "[1].all(now, true)",
        "[1].all(i, [2].all(i, true))",
        "'x' in parameters",
        "parameters.unheard_of",
        "has(parameters.unheard_of)",
        "resource_typo.x",
        ".resource.x",
        "undeclared(resource.x)",
        "size(resource.x, 1) == 1",
        "resource.x.startsWith()",
        "Message{field: 1}",
        "[1].all(a, [1].all(b, [1].all(c, true)))",
        "@equals(1, 2)",
        "now.getHours('Europe/Berlin') == 1",
    ] {
        assert!(!faults(source).is_empty(), "{source}");
    }
}

#[test]
fn a_fault_says_where() {
    let source = "resource.x && wrong.y";
    assert_eq!(&source[faults(source)[0].range.clone()], "wrong");
    let source = "resource.x &&\n  size(resource) == 1";
    assert_eq!(&source[faults(source)[0].range.clone()], "resource");
    let source = "'é' == resource.x &&";
    assert!(faults(source)[0].range.start >= source.len() - 1);
    assert!(faults(source)[0].message.starts_with("CEL syntax: "));
}

#[test]
fn an_expression_that_could_overflow_the_stack_is_refused() {
    assert!(!faults(&vec!["1"; 5000].join("+")).is_empty());
    assert!(!faults(&vec!["1"; 200].join("+")).is_empty());
    assert!(!faults(&format!("{}1{}", "[".repeat(900), "]".repeat(900))).is_empty());
    assert!(!faults(&format!("{}1{}", "(".repeat(1000), ")".repeat(1000))).is_empty());
    // Deep to the eye only: the parser balances it.
    assert_eq!(says(&vec!["true"; 200].join("||")), Truth::True);
}

#[test]
fn attributes_and_parameters_are_named_in_the_order_of_use() {
    let source = "resource.b == parameters.allowed && (resource['a'] || has(resource.b))";
    let expression = Expression::compile(source, &["allowed"]).unwrap();
    assert_eq!(expression.attributes(), ["b", "a"]);
    assert_eq!(expression.clauses.len(), 2);
    assert!(expression.uses("allowed") && !expression.uses("b"));
}

/// Any expression over the attributes a, b (boolean), n (a number), l (numbers) and m (a map), right or wrong.
fn any_expression() -> impl Strategy<Value = String> {
    let leaves = [
        "resource.a",
        "resource.b",
        "resource.n",
        "resource.l",
        "resource.m",
        "resource.m.k",
        "resource['a']",
        "has(resource.a)",
        "has(resource.m.k)",
        "has(resource.m.z)",
        "'k' in resource.m",
        "resource.n in resource.l",
        "size(resource.l)",
        "true",
        "false",
        "null",
        "1",
        "'k'",
        "[]",
        "[1, 2]",
        "now",
    ];
    let leaf = proptest::sample::select(leaves.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let three = (inner.clone(), inner.clone(), inner.clone());
        let operators = vec!["&&", "||", "==", "!=", "<", "in", "+", "-"];
        let macros = vec!["all", "exists", "exists_one", "filter", "map"];
        proptest::prop_oneof![
            4 => (two.clone(), proptest::sample::select(operators)).prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            2 => inner.clone().prop_map(|a| format!("!({a})")),
            1 => three.prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => two.clone().prop_map(|(a, b)| format!("{{'k': {a}, 'j': {b}}}")),
            1 => inner.prop_map(|a| format!("size({a})")),
            2 => (two, proptest::sample::select(macros))
                .prop_map(|((a, b), name)| format!("({a}).{name}(i{}, {b} == i{})", a.len(), a.len())),
        ]
    })
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(4000))]

    /// Not only the shipped expressions: none that compiles answers otherwise for knowing less.
    #[test]
    fn hiding_an_attribute_never_turns_one_answer_into_the_other(
        source in any_expression(), a: bool, b: bool, n in 0..3, chosen in 0..5_usize,
    ) {
        let Ok(expression) = Expression::compile(&source, &[]) else { return Ok(()) };
        let values = [("a", json!(a)), ("b", json!(b)), ("n", json!(n)), ("l", json!([1, 2])), ("m", json!({"k": n}))];
        let machine = Machine::new(&ENV);
        let says = |hidden: Option<usize>| -> Vec<Truth> {
            let known = values.iter().enumerate().filter(|(index, _)| Some(*index) != hidden);
            let scene = Scene {
                attributes: &known.map(|(_, (name, value))| (*name, value)).collect(),
                parameters: &BTreeMap::new(),
                now: crate::control::Example::NOW,
            };
            expression.clauses.iter().map(|clause| machine.evaluate(clause, &scene)).collect()
        };
        for (all, fewer) in says(None).into_iter().zip(says(Some(chosen))) {
            let unknown = matches!(fewer, Truth::Unknown(_));
            proptest::prop_assert!(unknown || fewer == all, "{source}: {all:?} became {fewer:?}");
        }
    }

    #[test]
    fn what_an_expression_says_does_not_vary_from_run_to_run(source in any_expression()) {
        let Ok(expression) = Expression::compile(&source, &[]) else { return Ok(()) };
        let values = json!({"a": true, "n": 1, "l": [1, 2], "m": {"k": 1, "j": 2, "i": 3, "h": 4}});
        let values: BTreeMap<&str, &Value> =
            values.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)).collect();
        let scene = Scene { attributes: &values, parameters: &BTreeMap::new(), now: crate::control::Example::NOW };
        let machine = Machine::new(&ENV);
        for clause in &expression.clauses {
            proptest::prop_assert_eq!(machine.evaluate(clause, &scene), machine.evaluate(clause, &scene));
        }
    }
}

#[test]
fn of_several_values_that_cannot_be_compared_the_same_one_is_named() {
    let source = "(['k' in resource.m, {'k': resource['a'], 'j': size(resource.m)}])\
                  .exists(i64, {'k': [resource.n in resource.l, 1], 'j': true} == i64)";
    let expression = Expression::compile(source, &[]).unwrap();
    let values = json!({"a": true, "n": 1, "l": [1, 2], "m": {"k": 1, "j": 2, "i": 3, "h": 4}});
    let values: BTreeMap<&str, &Value> = values
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let scene = Scene {
        attributes: &values,
        parameters: &BTreeMap::new(),
        now: crate::control::Example::NOW,
    };
    let machine = Machine::new(&ENV);
    for clause in &expression.clauses {
        let first = machine.evaluate(clause, &scene);
        assert!((0..50).all(|_| machine.evaluate(clause, &scene) == first));
    }
}

static ENV: std::sync::LazyLock<Arc<Env>> = std::sync::LazyLock::new(|| Arc::new(Env::stdlib()));

proptest::proptest! {
    #[test]
    fn no_source_makes_the_compiler_panic(source in "[a-z.()\\[\\]{}'\"!&|?:=<>+ 0-9@é-]{0,80}") {
        let _outcome = Expression::compile(&source, &[]);
    }
}
