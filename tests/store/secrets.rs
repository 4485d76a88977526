//! Sealed tokens.

use stanch::store::Error;

use crate::db::seal_ring;
use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn a_sealed_token_that_was_moved_to_another_row_does_not_open(db) {
        let store = db.open().await;
        let opened = opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        db.run(&format!(
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE incident_id = '{}') WHERE incident_id = '{}'",
            opened[0], opened[1]
        ))
        .await;
        let swapped = store.secret(opened[1]).await.err();
        let Some(Error::Corrupt { what, .. }) = &swapped else { panic!("{swapped:?}") };
        assert!(what.contains(&opened[1].to_string()), "the row is named: {what}");
        store.secret(opened[0]).await.expect("its neighbour opens");
    }

    async fn tokens_sealed_before_a_rotation_open_and_are_sealed_again(db) {
        let store = db.open().await;
        let opened = opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        store.close().await;
        let store = db.try_open(seal_ring("s2", &["s1"])).await.expect("the older key is there");
        assert_eq!(store.secret(opened[0]).await.expect("opens").expose(), token_bytes("a"));
        assert_eq!(store.rewrap().await.expect("sealed again"), 2);
        assert_eq!(store.rewrap().await.expect("nothing left"), 0);
        store.close().await;
        let store = db.try_open(seal_ring("s2", &[])).await.expect("the older key is needed no more");
        assert_eq!(store.secret(opened[1]).await.expect("opens").expose(), token_bytes("b"));
    }

    async fn a_wrong_sealing_key_is_refused_at_start(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a"], db.clock.now())).await;
        store.close().await;
        let mut wrong = seal_ring("s1", &[]);
        wrong.current.bytes[0] ^= 1;
        let refused = db.try_open(wrong).await.err().expect("refused").to_string();
        assert!(refused.contains("the sealing key `s1` is not the one"), "{refused}");
        let refused = db.try_open(seal_ring("s9", &[])).await.err().expect("refused").to_string();
        assert!(refused.contains("sealed with the key `s1`") && refused.contains("older key"), "{refused}");
        db.open().await;
    }

    async fn a_wrong_fingerprint_key_is_refused_at_start(db) {
        use stanch::token::{FingerprintKey, FingerprintRing};
        let ring = |id: &str, byte| FingerprintRing::new(FingerprintKey::new(id.into(), [byte; 32]), Vec::new());
        let store = db.open().await;
        store.check_fingerprint_keys(&ring("f1", 1)).await.expect("the first key");
        store.check_fingerprint_keys(&ring("f1", 1)).await.expect("the same key");
        for wrong in [ring("f1", 2), ring("f2", 2)] {
            let refused = store.check_fingerprint_keys(&wrong).await.expect_err("refused").to_string();
            assert!(refused.contains("`f1`"), "{refused}");
        }
        let rotated = FingerprintRing::new(
            FingerprintKey::new("f2".into(), [2; 32]),
            vec![FingerprintKey::new("f1".into(), [1; 32])],
        );
        store.check_fingerprint_keys(&rotated).await.expect("the older key is there");
    }

    async fn no_token_stands_in_the_database_in_clear(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a", "b", "c"], db.clock.now())).await;
        store.close().await;
        for bytes in db.bytes().await {
            // PostgreSQL shows bytes in hexadecimal.
            for marked in ["marked-token".as_bytes(), b"6d61726b65642d746f6b656e"] {
                assert!(!bytes.windows(marked.len()).any(|window| window == marked));
            }
        }
    }
}
