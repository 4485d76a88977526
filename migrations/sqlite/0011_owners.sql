-- A token may have several owners. Those of a notice who are still to be told are its addresses, joined by commas.
ALTER TABLE notices ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notices ADD COLUMN untold INTEGER NOT NULL DEFAULT 0; -- whose mail server will never take it
