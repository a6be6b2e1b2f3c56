cd /tmp && export HOME=/tmp GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.name n && git config --global user.email e@example.org && git config --global init.defaultBranch main
git init -q a && cd a && seq 1000 >f && git add f && git commit -qm one && seq 500 >f && git commit -qam two
git rev-parse HEAD && cd .. && git clone -q a b && git -C b log --format=%s && git -C b fsck 2>/dev/null; git -C b diff --stat HEAD~1
