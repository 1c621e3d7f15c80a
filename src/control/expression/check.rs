//! Checks an expression and rewrites what could turn unknown into true or false.

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators,
};
use cel::parser::Parser;
use std::ops::Range;

use super::functions::{FUNCTIONS, OPERATORS};

/// The names of our functions. `@` can't be written in CEL, so nothing but this rewriting calls them.
pub(super) const EQUALS: &str = "@equals";
pub(super) const DIFFERS: &str = "@differs";
pub(super) const IN: &str = "@is_in";
pub(super) const ITEMS: &str = "@items";

/// The interpreter recurses: beyond these it could overflow the stack.
const LENGTH: usize = 2048;
const DEPTH: usize = 64;
/// Each nesting multiplies the work by a list's length.
const NESTED: usize = 2;

/// What is wrong with an expression, and where: a byte range of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct Fault {
    pub(in crate::control) message: String,
    pub(in crate::control) help: String,
    pub(in crate::control) range: Range<usize>,
}

/// One term of a conjunction, rewritten.
pub(super) struct Checked {
    pub(super) program: IdedExpr,
    pub(super) attributes: Vec<String>,
    pub(super) parameters: Vec<String>,
}

/// The terms of the conjunction that `source` is.
pub(super) fn compile(source: &str, parameters: &[&str]) -> Result<Vec<Checked>, Vec<Fault>> {
    let whole = |message: String, help: &str| {
        vec![Fault {
            message,
            help: help.to_owned(),
            range: 0..source.len(),
        }]
    };
    if source.len() > LENGTH {
        return Err(whole(
            format!("the expression is longer than {LENGTH} bytes"),
            "move lists into `parameters`, or split the test",
        ));
    }
    let (expression, info) = Parser::new()
        .enable_optional_syntax(false)
        .parse_with_source_info(source)
        .map_err(|errors| {
            errors
                .errors
                .iter()
                .map(|error| syntax(source, error))
                .collect::<Vec<_>>()
        })?;
    let mut terms = Vec::new();
    conjuncts(expression, &mut terms);
    let mut faults = Vec::new();
    let mut checked = Vec::new();
    for program in terms {
        let mut check = Check {
            info: &info,
            known: parameters,
            faults: &mut faults,
            names: Vec::new(),
            attributes: Vec::new(),
            parameters: Vec::new(),
        };
        let program = check.visit(program, 0);
        let (attributes, parameters) = (check.attributes, check.parameters);
        checked.push(Checked {
            program,
            attributes,
            parameters,
        });
    }
    if faults.is_empty() {
        Ok(checked)
    } else {
        Err(faults)
    }
}

fn conjuncts(expression: IdedExpr, terms: &mut Vec<IdedExpr>) {
    match expression.expr {
        Expr::Call(call) if call.func_name == operators::LOGICAL_AND && call.target.is_none() => {
            for argument in call.args {
                conjuncts(argument, terms);
            }
        }
        expr => terms.push(IdedExpr {
            id: expression.id,
            expr,
        }),
    }
}

fn syntax(source: &str, error: &cel::ParseError) -> Fault {
    let line = usize::try_from(error.pos.0).unwrap_or(0).saturating_sub(1);
    let column = usize::try_from(error.pos.1).unwrap_or(0).saturating_sub(1);
    let start = source
        .split_inclusive('\n')
        .take(line)
        .map(str::len)
        .sum::<usize>()
        + column;
    // What is missing at the end is shown at the last character.
    let start = source.floor_char_boundary(start.min(source.len().saturating_sub(1)));
    let message = error.msg.trim_start_matches("Syntax error: ");
    // The rest lists every token of the grammar.
    let message = message.split(" expecting ").next().unwrap_or(message);
    Fault {
        message: format!("CEL syntax: {message}"),
        help: "see cel.dev for the language; strings take double or single quotes".to_owned(),
        range: start..source.len().min(source.ceil_char_boundary(start + 1)),
    }
}

struct Check<'a> {
    info: &'a SourceInfo,
    known: &'a [&'a str],
    faults: &'a mut Vec<Fault>,
    /// Variables of the comprehensions around.
    names: Vec<String>,
    attributes: Vec<String>,
    parameters: Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, id: u64, message: impl Into<String>, help: impl Into<String>) {
        let range = self
            .info
            .offset_for(id)
            .map_or(0..self.info.source.len(), |(start, stop)| {
                start as usize..(stop as usize + 1).min(self.info.source.len())
            });
        self.faults.push(Fault {
            message: message.into(),
            help: help.into(),
            range,
        });
    }

    fn visit(&mut self, expression: IdedExpr, depth: usize) -> IdedExpr {
        let IdedExpr { id, expr } = expression;
        if depth > DEPTH {
            self.fault(id, format!("nested deeper than {DEPTH}"), "split the test");
            return literal(id);
        }
        let expr = match expr {
            Expr::Literal(_) => expr,
            Expr::Ident(name) => self.ident(id, name),
            Expr::Select(select) => return self.select(id, select, depth),
            Expr::Call(call) => return self.call(id, call, depth),
            Expr::List(list) => Expr::List(ListExpr::new(self.visit_all(list.elements, depth))),
            Expr::Map(mut map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        entry.key = self.visit(std::mem::take(&mut entry.key), depth + 1);
                        entry.value = self.visit(std::mem::take(&mut entry.value), depth + 1);
                    }
                }
                Expr::Map(map)
            }
            Expr::Comprehension(mut all) => {
                if self.names.len() == NESTED {
                    self.fault(
                        id,
                        format!("comprehensions nested deeper than {NESTED}"),
                        "split the test",
                    );
                }
                all.iter_range = function(
                    id,
                    ITEMS,
                    vec![self.visit(std::mem::take(&mut all.iter_range), depth + 1)],
                );
                self.declare(id, &all.iter_var);
                for part in [
                    &mut all.accu_init,
                    &mut all.loop_cond,
                    &mut all.loop_step,
                    &mut all.result,
                ] {
                    *part = self.visit(std::mem::take(part), depth + 1);
                }
                self.names.pop();
                Expr::Comprehension(all)
            }
            Expr::Struct(message) => {
                self.fault(
                    id,
                    format!("{} is no known type", message.type_name),
                    "compare attributes one by one",
                );
                Expr::Literal(LiteralValue::Null)
            }
            Expr::Unspecified => {
                self.fault(id, "the expression has a hole", "complete it");
                Expr::Literal(LiteralValue::Null)
            }
        };
        IdedExpr { id, expr }
    }

    fn visit_all(&mut self, expressions: Vec<IdedExpr>, depth: usize) -> Vec<IdedExpr> {
        expressions
            .into_iter()
            .map(|each| self.visit(each, depth + 1))
            .collect()
    }

    fn declare(&mut self, id: u64, name: &str) {
        if ["resource", "parameters", "now"].contains(&name) || self.names.iter().any(|known| known == name) {
            self.fault(
                id,
                format!("the variable {name} hides another one"),
                "choose another name for it",
            );
        }
        self.names.push(name.to_owned());
    }

    fn ident(&mut self, id: u64, name: String) -> Expr {
        match name.as_str() {
            "resource" => self.fault(
                id,
                "resource can't be used as a whole: an attribute that is absent would look like one that is not there",
                "name the attribute: `resource.x`; one that is not known gives unknown",
            ),
            "parameters" => self.fault(id, "parameters can't be used as a whole", "name the parameter: `parameters.x`"),
            // The accumulator of a comprehension; it can't be written in a source.
            "now" | "@result" => {}
            other if self.names.iter().any(|known| known == other) => {}
            other => self.fault(
                id,
                format!("{other} is not declared"),
                "an expression sees `resource.x`, `parameters.x` and `now`; strings need quotes",
            ),
        }
        Expr::Ident(name)
    }

    fn select(&mut self, id: u64, mut select: SelectExpr, depth: usize) -> IdedExpr {
        match &select.operand.expr {
            Expr::Ident(root) if root == "resource" => note(&mut self.attributes, &select.field),
            Expr::Ident(root) if root == "parameters" => {
                if !self.known.contains(&select.field.as_str()) {
                    self.fault(
                        id,
                        format!("the test has no parameter {}", select.field),
                        "give it a value under `parameters`",
                    );
                }
                note(&mut self.parameters, &select.field);
            }
            _ => *select.operand = self.visit(std::mem::take(&mut *select.operand), depth + 1),
        }
        if !std::mem::take(&mut select.test) {
            return IdedExpr {
                id,
                expr: Expr::Select(select),
            };
        }
        // has(x.y): `[x.y] != []` is true where x.y has a value and an error where it has none.
        let list = |elements| IdedExpr {
            id,
            expr: Expr::List(ListExpr::new(elements)),
        };
        let value = IdedExpr {
            id,
            expr: Expr::Select(select),
        };
        function(id, operators::NOT_EQUALS, vec![list(vec![value]), list(vec![])])
    }

    fn call(&mut self, id: u64, mut call: CallExpr, depth: usize) -> IdedExpr {
        if call.func_name == operators::INDEX
            && let [container, IdedExpr { expr: key, .. }] = call.args.as_slice()
            && matches!(&container.expr, Expr::Ident(name) if name == "resource" || name == "parameters")
        {
            let Expr::Literal(LiteralValue::String(field)) = key else {
                self.fault(
                    id,
                    "what is indexed with is not written out",
                    "write the name as a string, or use `.name`",
                );
                return literal(id);
            };
            let select = SelectExpr {
                field: field.inner().to_owned(),
                operand: Box::new(call.args.swap_remove(0)),
                test: false,
            };
            return self.select(id, select, depth);
        }
        let arguments = call.args.len();
        let method = call.target.is_some();
        call.func_name = match call.func_name.as_str() {
            operators::EQUALS => EQUALS.to_owned(),
            operators::NOT_EQUALS => DIFFERS.to_owned(),
            operators::IN => IN.to_owned(),
            operators::INDEX => operators::INDEX.to_owned(),
            name if OPERATORS.contains(&name) => name.to_owned(),
            name => {
                let mut named = FUNCTIONS.iter().filter(|known| known.0 == name).peekable();
                if named.peek().is_none() {
                    self.fault(
                        id,
                        format!("there is no function {name}"),
                        "see cel.dev for the standard ones; `type`, `dyn` and optional values are not among ours",
                    );
                } else if !named.any(|known| known.1 == method && (known.2..=known.3).contains(&arguments)) {
                    self.fault(
                        id,
                        format!("{name} is not called like that"),
                        "check its arguments, and whether it stands before or after its value",
                    );
                }
                name.to_owned()
            }
        };
        call.target = call.target.map(|target| Box::new(self.visit(*target, depth + 1)));
        call.args = self.visit_all(call.args, depth);
        IdedExpr {
            id,
            expr: Expr::Call(call),
        }
    }
}

fn note(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

fn function(id: u64, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr {
        id,
        expr: Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: None,
            args,
        }),
    }
}

fn literal(id: u64) -> IdedExpr {
    IdedExpr {
        id,
        expr: Expr::Literal(LiteralValue::Null),
    }
}
