"""What the pipeline stands on: settings, connections and the embedded servers. No domain code belongs here."""
