package delivery

import "go.uber.org/zap"

func postField(id string) zap.Field    { return zap.String("post_id", id) }
func errField(err error) zap.Field     { return zap.Error(err) }
func accountField(id string) zap.Field { return zap.String("account_id", id) }
