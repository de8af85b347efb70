insert into memory (body) values (:value);
