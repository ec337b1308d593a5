//! What every noun's table has in common: an id, a tenant, pages of a list.

use crate::StoreError;
use rusqlite::{Connection, Row, ToSql, Transaction};
use types::TenantId;

/// A row of a table with `id` and `tenant_id`.
pub trait Record: Sized {
    const TABLE: &'static str;
    /// As in "no trunk trk_…".
    const NOUN: &'static str;
    /// The ids sort by creation; history is listed newest first.
    const NEWEST_FIRST: bool = false;

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self>;
    fn id(&self) -> String;
}

/// One page of a list; `after` is the id of the last row of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub limit: usize,
    pub after: Option<String>,
}

/// The tenant's own row; another tenant's is not found.
pub fn find<R: Record>(conn: &Connection, tenant: TenantId, id: &impl ToString) -> Result<R, StoreError> {
    let sql = format!("SELECT * FROM {} WHERE id = ?1 AND tenant_id = ?2", R::TABLE);
    let found = conn.query_row(&sql, [id.to_string(), tenant.to_string()], R::from_row);
    found.map_err(|err| missing::<R>(err, id))
}

/// Any tenant's row: for reconcilers and for what the gateway names by id alone.
pub fn find_any<R: Record>(conn: &Connection, id: &impl ToString) -> Result<R, StoreError> {
    let sql = format!("SELECT * FROM {} WHERE id = ?1", R::TABLE);
    conn.query_row(&sql, [id.to_string()], R::from_row).map_err(|err| missing::<R>(err, id))
}

/// A page of the tenant's rows, one more than `limit` when another page follows.
pub fn list<R: Record>(conn: &Connection, tenant: TenantId, page: &Page) -> Result<Vec<R>, StoreError> {
    list_where(conn, "tenant_id = ?", &[&tenant.to_string()], page)
}

/// The same with conditions of the noun's own (`?` placeholders, in order).
pub fn list_where<R: Record>(
    conn: &Connection,
    condition: &str,
    values: &[&dyn ToSql],
    page: &Page,
) -> Result<Vec<R>, StoreError> {
    let (compare, order) = if R::NEWEST_FIRST { ("<", "DESC") } else { (">", "ASC") };
    let cursor = if page.after.is_some() { format!("AND id {compare} ?") } else { String::new() };
    let sql = format!("SELECT * FROM {} WHERE {condition} {cursor} ORDER BY id {order} LIMIT ?", R::TABLE);
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX - 1) + 1;
    let mut all = values.to_vec();
    page.after.iter().for_each(|after| all.push(after));
    all.push(&limit);
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(all.as_slice(), R::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes the tenant's row; one that others still refer to stays and says so.
pub fn delete<R: Record>(tx: &Transaction<'_>, tenant: TenantId, id: &impl ToString) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM {} WHERE id = ?1 AND tenant_id = ?2", R::TABLE);
    match tx.execute(&sql, [id.to_string(), tenant.to_string()]) {
        Ok(0) => Err(StoreError::NotFound { noun: R::NOUN, id: id.to_string() }),
        Ok(_) => Ok(()),
        Err(err) => Err(StoreError::constraint(err, R::NOUN)),
    }
}

fn missing<R: Record>(err: rusqlite::Error, id: &impl ToString) -> StoreError {
    match err {
        rusqlite::Error::QueryReturnedNoRows => StoreError::NotFound { noun: R::NOUN, id: id.to_string() },
        other => StoreError::Sqlite(other),
    }
}
