//! Documents as files of a folder: written, synced, renamed, and the folder synced, before the row that names them.
