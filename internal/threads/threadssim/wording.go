package threadssim

import (
	"net/http"
	"strings"
)

// worded gives a refusal the status and the language that the knobs ask for.
func (c *call) worded(a answer) answer {
	body, isMap := a.body.(map[string]any)
	if a.ok() || !isMap {
		return a
	}
	e, isError := body["error"].(graphError)
	if !isError {
		return a
	}
	if verb := unsupported[c.method]; e.Subcode == 33 && verb != "" {
		e.Message = strings.Replace(e.Message, "Unsupported get", "Unsupported "+verb, 1)
		a.body = map[string]any{"error": e}
	}
	if c.knobs.CleanHTTPStatus == "textbook" {
		a.status = textbookStatus(e, a.status)
	}
	if words := translations[c.knobs.Locale]; words != nil && e.UserTitle != "" {
		if e.UserTitle = words[e.UserTitle]; e.UserTitle == "" {
			e.UserTitle = words["Media Not Found"]
		}
		if e.UserMessage != "" {
			e.UserMessage = words[""]
		}
		a.body = map[string]any{"error": e}
	}
	return a
}

// unsupported is how Graph names a request in its 100/33.
var unsupported = map[string]string{http.MethodPost: "post", http.MethodDelete: "delete"}

// textbookStatus is what a reader of the HTTP standard would expect. Threads does not.
func textbookStatus(e graphError, observed int) int {
	switch {
	case e.Code == 190 || e.Code == 102 || e.Code == 452:
		return http.StatusUnauthorized
	case e.Code == 10 || (e.Code == 100 && e.Subcode == 10) || e.Subcode == 2207051:
		return http.StatusForbidden
	case e.Code == 24 || (e.Code == 100 && e.Subcode == 33):
		return http.StatusNotFound
	case e.Code == 4 || e.Code == 17 || e.Code == 9:
		return http.StatusTooManyRequests
	case e.Code == 100 || e.Subcode == 4279047 || e.Subcode == 2207052:
		return http.StatusBadRequest
	case e.Code == 1 || e.Code == 2:
		return http.StatusServiceUnavailable
	}
	return observed
}

// translations are what people read, by language and English title; "" is the sentence below the title. They are what a
// client must not compare with.
var translations = map[string]map[string]string{
	"vi": {
		"Media Not Found":            "Không tìm thấy nội dung",
		"Invalid Carousel Children":  "Mục trong bài quay vòng không hợp lệ",
		"Media download has failed.": "Tải nội dung xuống không thành công.",
		"Invalid link attachment":    "Liên kết đính kèm không hợp lệ",
		"Action is blocked":          "Hành động bị chặn",
		"":                           "Không thể thực hiện yêu cầu này. Vui lòng thử lại sau.",
	},
	"ru": {
		"Media Not Found":            "Медиафайл не найден",
		"Invalid Carousel Children":  "Недопустимые элементы карусели",
		"Media download has failed.": "Не удалось загрузить медиафайл.",
		"Invalid link attachment":    "Недопустимая ссылка",
		"Action is blocked":          "Действие заблокировано",
		"":                           "Не удалось выполнить запрос. Повторите попытку позже.",
	},
}
