"""What the pipeline stands on: settings, connections, embedded servers. No domain code belongs here."""
