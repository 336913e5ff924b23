//! The tables' layout: its number, and the steps from one to the next.

use super::{lock, unavailable};
use crate::port::StoreError;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

/// The layout that this code writes. A database with a higher number is refused.
const LAYOUT: i64 = 4;
/// What brings a database from one layout to the next, the first from an empty one.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("schema2.sql"),
    include_str!("schema3.sql"),
    include_str!("schema4.sql"),
];
/// The advisory lock of whoever changes the layout.
const MIGRATING: i64 = 0x6665_7272_6f66_0001;

/// Brings the tables to the present layout. Several nodes may start at once.
pub(super) async fn bring_up(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut t = connection.begin().await.map_err(unavailable)?;
    lock(&mut t, MIGRATING).await?;
    sqlx::raw_sql("create table if not exists fax_meta (key text primary key, value bigint not null)")
        .execute(&mut *t)
        .await
        .map_err(unavailable)?;
    let found: Option<i64> = sqlx::query_scalar("select value from fax_meta where key = 'layout'")
        .fetch_optional(&mut *t)
        .await
        .map_err(unavailable)?;
    let found = found.unwrap_or(0);
    if found > LAYOUT {
        return Err(StoreError::Damaged(format!(
            "the database has layout {found}, this ferrofax knows up to {LAYOUT}"
        )));
    }
    for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql(*step).execute(&mut *t).await.map_err(unavailable)?;
    }
    sqlx::query(
        "insert into fax_meta values ('layout', $1) on conflict (key) do update set value = excluded.value",
    )
    .bind(LAYOUT)
    .execute(&mut *t)
    .await
    .map_err(unavailable)?;
    t.commit().await.map_err(unavailable)
}
