-- Is there anyone with terms of his own, or blocked?
SELECT EXISTS (SELECT FROM traders) OR EXISTS (SELECT FROM kill_switches WHERE engaged)
