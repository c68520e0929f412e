-- Each version of a post's row is written to every index that it is in: what one of these found, others find.
DROP INDEX posts_in_doubt; -- posts_doubt
DROP INDEX posts_account;  -- posts_account_open and posts_account_settled
