//! A store's tables as they are found in the database, so that a new column can't be forgotten.

use rusqlite::types::{ToSqlOutput, Value as Bound, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Value {
    pub(crate) fn bits(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Integer(_) => 64,
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len() * 8,
        }
    }

    pub(crate) fn with_flipped(mut self, bit: usize) -> Self {
        match &mut self {
            Self::Null => {}
            Self::Integer(number) => *number ^= 1 << bit,
            Self::Text(bytes) | Self::Blob(bytes) => bytes[bit / 8] ^= 1 << (bit % 8),
        }
        self
    }

    /// A value of the same type in whose place there is none.
    fn beside(&self) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::Integer(number) => Self::Integer(number + 1000),
            Self::Text(bytes) => Self::Text([bytes.as_slice(), b"+"].concat()),
            Self::Blob(bytes) => Self::Blob(bytes.iter().map(|byte| byte ^ 0x55).collect()),
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Text is bound as a blob and cast, so that it need not be UTF-8.
    fn placeholder(&self) -> &'static str {
        match self {
            Self::Text(_) => "CAST(? AS TEXT)",
            _ => "?",
        }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
            ValueRef::Real(_) => panic!("the format has no reals"),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(match self {
            Self::Null => Bound::Null,
            Self::Integer(number) => Bound::Integer(*number),
            Self::Text(bytes) | Self::Blob(bytes) => Bound::Blob(bytes.clone()),
        }))
    }
}

pub(crate) type Row = Vec<Value>;

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) of_key: bool,
    pub(crate) nullable: bool,
    /// A value of the declared type, for where there is none.
    pub(crate) sample: Value,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

impl Table {
    /// All tables of a database.
    pub(crate) fn all(connection: &Connection) -> Vec<Self> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(|name| Self::read(connection, name.unwrap())).collect()
    }

    fn read(connection: &Connection, name: String) -> Self {
        let sql = "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?)";
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.query_map([&name], |row| {
            assert_eq!(row.get::<_, i64>("hidden")?, 0, "generated columns are forbidden");
            let kind: String = row.get("type")?;
            let of_key = row.get::<_, i64>("pk")? > 0;
            Ok(Column {
                name: row.get("name")?,
                of_key,
                nullable: !row.get::<_, bool>("notnull")? && !of_key,
                sample: match kind.as_str() {
                    "INTEGER" => Value::Integer(0),
                    "TEXT" => Value::Text(Vec::new()),
                    "BLOB" => Value::Blob(Vec::new()),
                    other => panic!("what is a flipped bit of a column of type {other}?"),
                },
            })
        });
        let columns: Vec<_> = columns.unwrap().map(Result::unwrap).collect();
        assert!(columns.iter().any(|column| column.of_key), "{name} has no key");
        Self { name, columns }
    }

    pub(crate) fn rows(&self, connection: &Connection) -> Vec<Row> {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {}", self.name))
            .unwrap();
        let rows = statement.query_map([], |row| {
            (0..self.columns.len())
                .map(|column| Ok(row.get_ref(column)?.into()))
                .collect()
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The value that a row has in a column.
    pub(crate) fn get<'a>(&self, row: &'a Row, column: &str) -> Option<&'a Value> {
        let at = self.columns.iter().position(|c| c.name == column)?;
        Some(&row[at])
    }

    /// Puts `new` in the place of `old`; `false` if another row has its key.
    pub(crate) fn replace(&self, connection: &Connection, old: &Row, new: &Row) -> bool {
        let changed = self.columns.iter().zip(old.iter().zip(new));
        let changed: Vec<_> = changed.filter(|(_, (old, new))| old != new).collect();
        let set: Vec<_> = changed
            .iter()
            .map(|(c, (_, new))| format!("{} = {}", c.name, new.placeholder()))
            .collect();
        let (condition, key) = self.condition(old);
        let values = changed.iter().map(|(_, (_, new))| *new).chain(key);
        let sql = format!("UPDATE {} SET {} WHERE {condition}", self.name, set.join(", "));
        self.execute(connection, &sql, values)
    }

    /// Adds a row like this one under another key.
    pub(crate) fn insert_beside(&self, connection: &Connection, row: &Row) -> Row {
        let columns = self.columns.iter().zip(row);
        let new: Row = columns
            .map(|(column, value)| {
                if column.of_key {
                    value.beside()
                } else {
                    value.clone()
                }
            })
            .collect();
        self.insert(connection, &new);
        new
    }

    pub(crate) fn insert(&self, connection: &Connection, row: &Row) {
        let places: Vec<_> = row.iter().map(Value::placeholder).collect();
        let sql = format!("INSERT INTO {} VALUES ({})", self.name, places.join(", "));
        assert!(self.execute(connection, &sql, row));
    }

    pub(crate) fn delete(&self, connection: &Connection, row: &Row) {
        let (condition, key) = self.condition(row);
        assert!(self.execute(
            connection,
            &format!("DELETE FROM {} WHERE {condition}", self.name),
            key
        ));
    }

    fn condition<'a>(&self, row: &'a Row) -> (String, Vec<&'a Value>) {
        let key = self.columns.iter().zip(row).filter(|(column, _)| column.of_key);
        let (conditions, values): (Vec<_>, Vec<_>) = key
            .map(|(column, value)| (format!("{} = {}", column.name, value.placeholder()), value))
            .unzip();
        (conditions.join(" AND "), values)
    }

    fn execute<'a>(
        &self,
        connection: &Connection,
        sql: &str,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> bool {
        let mut statement = connection.prepare_cached(sql).unwrap();
        match statement.execute(rusqlite::params_from_iter(values)) {
            Ok(1) => true,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => false,
            other => panic!("{}: {other:?}", self.name),
        }
    }
}
