//! Key lists of origins.

use stanch::clock::Timestamp;
use stanch::store::KeyList;

use crate::on_both_databases;

on_both_databases! {
    async fn the_newest_key_list_is_kept(db) {
        let store = db.open().await;
        let list = |json: &str, at| KeyList {
            json: json.into(),
            etag: Some("\"e\"".into()),
            fetched_at: Timestamp::from_millis(at),
        };
        assert_eq!(store.key_list("github").await.expect("read"), None);
        for stored in [list("[1]", 1_000), list("[2]", 2_000), list("[1]", 1_500)] {
            store.save_key_list("github", &stored).await.expect("stored");
        }
        assert_eq!(store.key_list("github").await.expect("read"), Some(list("[2]", 2_000)));
        assert_eq!(store.key_list("gitlab").await.expect("read"), None);
    }
}
