#!/bin/sh
# Run once, when the data volume is new: a database and a role for each service that has one.
set -eu
for service in identity catalog order notification; do
    password=$(cat "/run/secrets/${service}_database_password")
    psql -v ON_ERROR_STOP=1 --username postgres --set role="$service" --set password="$password" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
SQL
    createdb --username postgres --owner "$service" "kirana_$service"
    psql -v ON_ERROR_STOP=1 --username postgres --dbname "kirana_$service" \
        --command 'REVOKE ALL ON DATABASE "kirana_'"$service"'" FROM PUBLIC'
done
if [ -e /run/secrets/metrics_database_password ]; then  # where somebody watches: sees statistics, and no row
    password=$(cat /run/secrets/metrics_database_password)
    psql -v ON_ERROR_STOP=1 --username postgres --set password="$password" <<'SQL'
CREATE ROLE metrics LOGIN CONNECTION LIMIT 5 PASSWORD :'password';
GRANT pg_monitor TO metrics;
SQL
fi
psql -v ON_ERROR_STOP=1 --username postgres --dbname kirana_catalog --command 'CREATE EXTENSION IF NOT EXISTS pg_trgm'
