-- Users and their sessions. psql variable: service_role.
CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    email         text        NOT NULL UNIQUE,   -- lower case
    password_hash text        NOT NULL,          -- argon2id, PHC string
    scope         text        NOT NULL DEFAULT 'trade',
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- A refresh token is used once: using it replaces it. Only its SHA-256 is stored.
CREATE TABLE refresh_tokens (
    digest     bytea       PRIMARY KEY,
    user_id    bigint      NOT NULL REFERENCES users,
    family     bigint      NOT NULL,             -- reuse of a spent token revokes its whole family
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

GRANT SELECT, INSERT, UPDATE ON users TO :"service_role";
GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_tokens TO :"service_role";
