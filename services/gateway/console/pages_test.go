package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestFirstMinute is what a newcomer does: sign in, connect an account, publish a post; then look around.
func TestFirstMinute(t *testing.T) {
	b := browse(t, start(t).url)
	b.allowed = []string{"status of 422"}
	b.open("/")
	b.see("h1", "Posts on Threads")
	b.shot("01-door")
	b.click("main .button", "button[value=user_demo]")
	b.shot("02-issuer")
	b.click("button[value=user_demo]", ".bar nav")
	b.see(".hello", "Connect your Threads account")
	b.shot("03-today-first")
	b.connect()
	b.see("section.account", "@")
	b.see(".notice", "Connected.")
	b.shot("04-accounts")
	b.open("/")
	b.see(".hello", "Write your first post")
	b.shot("05-today-connected")

	// A chain with a picture, checked and scheduled.
	b.click("[data-key=n]", "#text")
	b.fill("#text", "Doors open at ten. ☕ Come early, there is coffee.\n---\nThe second part says where: at the old mill.")
	b.see("#counts", "51 of 500")
	b.see("#thread", "The second part says where")
	b.fill("#url-0", "https://cdn.example.com/door.jpg")
	b.fill("#alt-0", "A blue door")
	b.see("#thread", "A blue door")
	b.shot("06-compose")
	b.click(".send [value=send]", "#post")
	b.see(".notice", "Scheduled.")
	b.see("#post", "chain of 2")
	b.shot("07-post")

	// One that goes out at once.
	b.open("/compose")
	b.fill("#text", "This one goes out at once.")
	b.do("now", chromedp.Click(chromedp.CSS("[name=when][value=now]")))
	b.click(".send [value=send]", "#post")
	b.see(".badge", "Published")
	b.see(".life", "Live on Threads")
	b.shot("08-post-live")
	b.open("/")
	b.see(".upnext", "Doors open at ten")
	b.see("#today", "This one goes out at once.")
	b.shot("09-today")

	// What is wrong is said beside its field, and what was typed stays.
	b.open("/compose")
	b.fill("#text", "Yesterday's news")
	b.set("#date", "2020-01-01")
	b.click(".send [value=send]", ".when .wrong")
	b.see("#thread", "Yesterday's news")
	b.shot("10-compose-wrong")
	b.open("/posts")
	b.see("#posts", "Doors open at ten")
	b.shot("11-posts")
	b.dark(true)
	for name, path := range map[string]string{"today": "/", "compose": "/compose", "accounts": "/accounts"} {
		b.open(path)
		b.shot("12-dark-" + name)
	}
	b.dark(false)
	b.width(360)
	for name, path := range map[string]string{"today": "/", "compose": "/compose", "posts": "/posts", "accounts": "/accounts"} {
		b.open(path)
		if over := eval[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
			t.Errorf("%s is %d pixels too wide at 360", path, over)
		}
		b.shot("13-narrow-" + name)
	}
}
