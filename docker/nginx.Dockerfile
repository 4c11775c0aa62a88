# What stands in front of the edges. Build from the repository's root: docker build -f docker/nginx.Dockerfile -t kirana/nginx .
ARG NGINX_IMAGE=nginx:1.30.5-alpine-slim

FROM ${NGINX_IMAGE}
# Which edges take the traffic is kept beside the configuration, in a volume of its own: see traffic.sh.
RUN install -d -o 10001 /var/lib/traffic /var/spool/kirana && rm -rf /etc/nginx/conf.d
COPY docker/nginx/*.conf /etc/nginx/
COPY --chmod=755 docker/nginx/traffic.sh /usr/local/bin/traffic
COPY --chmod=755 docker/nginx/spooled.sh /usr/local/bin/spooled
USER 10001
VOLUME ["/var/lib/traffic"]
EXPOSE 8443
STOPSIGNAL SIGQUIT
ENTRYPOINT ["traffic", "serve"]
