"""Jobs in the gateway: admission, catalogue, views, events, the bell."""
